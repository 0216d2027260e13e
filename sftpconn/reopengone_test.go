package sftpconn

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"sshmount/sftpconn/sftptest"
)

// As where it is taken away so that another can be put in its place.
func TestAnOpenFileOutlivesADirectoryThatGoesWhileItIsLookedAt(t *testing.T) {
	tap := sftptest.NewTap()
	srv, data, f := inData(t, tap)
	if err := errors.Join(os.Rename(data, data+"-aside"), os.Mkdir(data, 0o755)); err != nil {
		t.Fatal(err)
	}
	gone := sync.OnceFunc(func() { os.Remove(data) })
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "OPENDIR" {
			gone() // it was there when STAT asked
		}
		return sftptest.Pass()
	})
	srv.Cut()
	done := make(chan error, 1)
	go func() { done <- f.WriteAt(limited(t), []byte("UNSAVED"), 0) }()
	eventually(t, "the directory was looked for twice", func() bool { return tap.Count("STAT") >= 2 || len(done) > 0 })
	if err := os.Rename(data+"-aside", data); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("a write while the directory was away: %v", err)
	}
	sameAs(t, filepath.Join(data, "f"), []byte("UNSAVED"))
}
