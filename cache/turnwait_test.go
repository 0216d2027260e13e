package cache

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// The rename waits for the truncation, whose file is gone; so that must not wait for the rename to say which name the file has now.
func TestATruncatingOpenOfAGoneFileDoesNotWaitForTheRenameBehindIt(t *testing.T) {
	for name, change := range map[string]func(*Options){"default": nil, "async": async} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, change)
			r.put("f", "content")
			r.list(r.Root())
			n := r.mustFind("f").Node
			r.holdRequest("OPEN")
			opened, renamed := r.opening(n, syscall.O_WRONLY|syscall.O_TRUNC), make(chan error, 1)
			r.waitHeld()
			go func() { renamed <- r.Rename(ctxOf(t), r.Root(), "f", r.Root(), "g", false) }()
			waitFor(t, "the rename waits for its turn", func() bool { return r.queue.count.Load() == 2 })
			if err := os.Remove(filepath.Join(r.dir, "f")); err != nil {
				t.Fatal(err)
			}
			r.tap.OnRequest(nil)
			r.tap.Release()
			wantErrno(t, <-opened, syscall.ENOENT)
			wantErrno(t, <-renamed, syscall.ENOENT)
		})
	}
}
