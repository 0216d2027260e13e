package cache

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A program makes a file in its working directory, which somebody renames while the creation waits for the line.
func TestAFileIsMadeInItsDirectoryAlsoWhereThatIsRenamedMeanwhile(t *testing.T) {
	for what, replace := range map[string]bool{"the path leads nowhere": false, "another directory has the path": true} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t, nil)
			r.put("d/f", "x")
			r.put("other/f", "x")
			r.mustFind("other")
			dir := r.mustFind("d").Node
			r.holdRequests("OPEN", "LSTAT")
			made, renamed := make(chan error, 1), make(chan error, 1)
			go func() {
				_, h, err := r.Create(ctxOf(t), dir, "new", syscall.O_WRONLY, 0o644)
				if err == nil {
					h.Release()
				}
				made <- err
			}()
			r.waitHeld()
			go func() {
				err := r.Rename(ctxOf(t), r.Root(), "d", r.Root(), "e", false)
				if err == nil && replace {
					err = r.Rename(ctxOf(t), r.Root(), "other", r.Root(), "d", false)
				}
				renamed <- err
			}()
			waitFor(t, "the rename waits for the creation, or is done", func() bool {
				return len(renamed) > 0 || parkedIn("Rename", "waitAll") > 0
			})
			r.tap.OnRequest(nil)
			r.tap.Release()
			if err := <-renamed; err != nil {
				t.Errorf("rename: %v", err)
			}
			if err := <-made; err != nil {
				t.Errorf("create: %v", err)
			}
			if _, err := os.Stat(filepath.Join(r.dir, "e/new")); err != nil {
				t.Errorf("the file: %v", err)
			}
			r.mustFind("e/new")
		})
	}
}

// Who is interrupted while a file is made leaves no handle open on the server.
func TestAnInterruptedCreationLeavesNothingOpen(t *testing.T) {
	r := newRig(t, nil)
	r.list(r.Root())
	r.interrupt("OPEN", func(ctx context.Context) error {
		_, _, err := r.Create(ctx, r.Root(), "new", syscall.O_WRONLY|syscall.O_EXCL, 0o644)
		return err
	})
	r.mustFind("new") // waits for the creation
	if got := r.Status().OpenFiles; got != 0 {
		t.Errorf("%d files are open here", got)
	}
	for late := time.Now().Add(longEnough); r.tap.Count("CLOSE") < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("of the listing and the file not both were closed on the server: %v", r.tap.Log())
		}
	}
}
