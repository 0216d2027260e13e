package cache

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A change that waits for room in the backlog has the path that there is when its turn comes.
func TestAsyncAChangeThatWaitedFollowsARenameOfItsDirectory(t *testing.T) {
	r := newRig(t, async)
	d, err := r.Mkdir(ctxOf(t), r.Root(), "d", 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	r.list(r.Root())
	for range maxBacklog {
		r.queue.backlog <- struct{}{}
	}
	renamed, made := make(chan error, 1), make(chan error, 1)
	go func() { renamed <- r.Rename(ctxOf(t), r.Root(), "d", r.Root(), "e", false) }()
	waiting := func(n int) func() bool {
		return func() bool { return parkedIn("takeBacklog") == n }
	}
	waitFor(t, "the rename waits for room", waiting(1))
	go func() {
		_, err := r.Mkdir(ctxOf(t), d.Node, "sub", 0o755)
		made <- err
	}()
	waitFor(t, "the directory waits behind it", waiting(2))
	<-r.queue.backlog
	if err := <-renamed; err != nil {
		t.Fatal(err)
	}
	for range maxBacklog - 1 {
		<-r.queue.backlog
	}
	if err := <-made; err != nil {
		t.Fatal(err)
	}
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(r.dir, "e/sub")); err != nil {
		t.Error(err)
	}
}

// Nobody waits for a close's release: it must not stand in the row for as long as the line is down.
func TestAsyncAReleaseDoesNotWaitForRoomInTheBacklog(t *testing.T) {
	r := newRig(t, async)
	r.list(r.Root())
	_, h, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Write(ctxOf(t), []byte("content"), 0); err != nil {
		t.Fatal(err)
	}
	for range maxBacklog {
		r.queue.backlog <- struct{}{}
	}
	released := make(chan struct{})
	go func() {
		h.Release()
		close(released)
	}()
	select {
	case <-released:
	case <-time.After(longEnough):
		t.Error("it waits")
	}
	for range maxBacklog {
		<-r.queue.backlog
	}
	<-released
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	if got := r.remote("f"); got != "content" {
		t.Errorf("the server has %q", got)
	}
}
