package cache

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Which of its names a file of several goes by is nothing that a program knows: fsync is as strong for a change of any of them.
func TestAsyncFsyncWaitsForTheRenameOfAnyOfAFilesNames(t *testing.T) {
	for _, moved := range []string{"a", "b"} {
		t.Run(moved, func(t *testing.T) {
			r := newRig(t, async)
			r.list(r.Root())
			h, _, err := r.Open(ctxOf(t), r.linkedPair(), syscall.O_RDWR)
			if err != nil {
				t.Fatal(err)
			}
			defer h.Release()
			r.holdRequests("posix-rename@openssh.com")
			if err := r.Rename(ctxOf(t), r.Root(), moved, r.Root(), "c", false); err != nil {
				t.Fatal(err)
			}
			r.waitHeld()
			done := make(chan error, 1)
			go func() { done <- h.Fsync(ctxOf(t)) }()
			select {
			case <-done:
				t.Error("fsync did not wait for the rename")
				done <- nil
			case <-time.After(100 * time.Millisecond): // time to go wrong
			}
			r.tap.OnRequest(nil)
			r.tap.Release()
			if err := <-done; err != nil {
				t.Error(err)
			}
			if _, err := os.Lstat(filepath.Join(r.dir, "c")); err != nil {
				t.Errorf("after fsync: %v", err)
			}
		})
	}
}
