package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A server lets the mount in at a reconnect, and its SFTP server does not begin: it waits for something there that never comes. The next
// one does begin, and ConnectTimeout says when that is tried.
func TestASessionThatDoesNotBeginAtAReconnectIsBoundedByConnectTimeout(t *testing.T) {
	t.Parallel()
	onlySshmount(t)
	dir := testDir(t, "subsystem")
	hang := filepath.Join(dir, "hang")
	program := filepath.Join(dir, "sftp")
	write(t, program, fmt.Sprintf("#!/bin/sh\nrm %s 2>/dev/null && exec sleep 100\nexec %s\n", hang, sftpServer))
	must(t, os.Chmod(program, 0o755))
	s := newServerWith(t, serverOptions{subsystem: program})
	write(t, s.local("f"), "content")
	m := s.mount("-o", "ConnectTimeout=2,dir_cache=no,attr_timeout=0,entry_timeout=0")
	wantContent(t, m.path("f"), "content")
	write(t, hang, "")
	s.down()
	s.start()
	began := time.Now()
	err := within(t, 30*time.Second, "a look at a file", func() error { _, err := os.Stat(m.path("f")); return err })
	must(t, err)
	if exists(hang) {
		t.Fatal("no session was begun that could have hung")
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("connected again after %v", took)
	}
}
