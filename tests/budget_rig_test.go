package tests

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
)

// countedMount is a mount whose every request to the server passes a counter.
type countedMount struct {
	*mounted
	t    *testing.T
	tap  *sftptest.Tap
	root string // the mounted directory on this disk
}

func newCountedMount(t *testing.T, options ...string) *countedMount {
	t.Helper()
	onlySshmount(t)
	tap := sftptest.NewTap()
	tap.SetDelay(roundTrip) // always the same: the mount measures it
	root := testDir(t, "root")
	srv := sftptest.New(t, sftptest.WithTap(tap), sftptest.InDir(root))
	port := serveDirect(t, func(conn net.Conn) {
		tr, err := srv.Dial(context.Background())
		if err != nil {
			return
		}
		defer tr.Close()
		ch, err := tr.OpenChannel(context.Background())
		if err != nil {
			return
		}
		up := make(chan struct{})
		go func() {
			defer close(up)
			_, _ = io.Copy(ch, conn)
			ch.Close()
		}()
		_, _ = io.Copy(conn, ch)
		conn.Close()
		<-up
	})
	args := append([]string{"-o", fmt.Sprintf("directport=%d", port), "127.0.0.1:" + root, mountPoint(t)}, options...)
	return &countedMount{mountArgs(t, args, nil), t, tap, root}
}

// costs asserts the round trips of some work: at most flights, where a flight is requests that went out without waiting
// for each other. It is done up to three times: on a very busy machine what belongs to one flight can be torn apart,
// but what waits for an answer always waits. n tells the times apart.
func (m *countedMount) costs(what string, flights int, prepare, work func(n int)) {
	m.t.Helper()
	var log []string
	got := 0
	for n := range 3 {
		prepare(n)
		m.settle()
		m.tap.Reset()
		work(n)
		got, log = m.tap.Flights(), m.tap.Log()
		if got <= flights {
			return
		}
	}
	m.t.Errorf("%s: %d flights, at most %d wanted:\n%s", what, got, flights, strings.Join(log[:min(len(log), 120)], "\n"))
}

// settle waits until the mount asks nothing by itself any more: what it still asks would be counted among the costs of what comes.
func (m *countedMount) settle() {
	m.t.Helper()
	last, since := m.tap.Total(), time.Now()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if now := m.tap.Total(); now != last {
			last, since = now, time.Now()
		}
		if time.Since(since) > 4*roundTrip {
			return
		}
	}
	m.t.Fatal("the mount does not come to rest: it still asks the server something")
}

func none(int) {}

// list reads a directory as `ls -l` does, and returns the number of its names.
func list(t *testing.T, dir string) int {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		_, err := e.Info()
		must(t, err)
	}
	return len(entries)
}

func (m *countedMount) makeFiles(dir string, files, size int) {
	m.t.Helper()
	must(m.t, os.MkdirAll(m.root+"/"+dir, 0o755))
	for i := range files {
		file := fmt.Sprintf("%s/%s/f%04d", m.root, dir, i)
		must(m.t, os.WriteFile(file, pseudoRandom(uint64(i), size), 0o644))
		// Of a file changed this very second no time can tell whether it has changed again.
		must(m.t, os.Chtimes(file, longAgo, longAgo))
	}
}

// roundTrip is how long every answer takes: long beside what a busy machine needs between the requests of one flight.
const roundTrip = 50 * time.Millisecond

var longAgo = time.Unix(1_500_000_000, 0)
