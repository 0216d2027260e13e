package cache

import (
	"syscall"
	"testing"
	"time"
)

// The closing of a file has its turn behind a rename above it, the rename behind a creation there, and that waits for the closing.
func TestACreationWaitsForNoFileWhoseClosingWaitsForIt(t *testing.T) {
	r := notOpenSSH(t)
	r.list(r.Root())
	dir, err := r.Mkdir(ctxOf(t), r.Root(), "d", 0o755)
	if err != nil {
		t.Fatal(err)
	}
	_, log, err := r.Create(ctxOf(t), dir.Node, "log", syscall.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	few := &fewFiles{most: 1, open: 1}
	few.install(r.tap)
	defer r.tap.OnRequest(nil)
	r.tap.SetDelay(20 * time.Millisecond)
	r.create(dir.Node, "f", "content")
	if err := r.Rename(ctxOf(t), r.Root(), "d", r.Root(), "e", false); err != nil {
		t.Fatal(err)
	}
	if _, err := log.Write(ctxOf(t), []byte("content"), 0); err != nil {
		t.Fatal(err)
	}
	log.Release()
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"e/f", "e/log"} {
		if got := r.remote(name); got != "content" {
			t.Errorf("%s holds %q", name, got)
		}
	}
}
