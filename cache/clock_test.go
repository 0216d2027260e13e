package cache

import (
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn/session"
)

// What is made next is compared with it by make, and has a time of the server's clock.
func TestWhatTheServerHasNotToldYetHasATimeOfItsClock(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Async = true })
	r.put("f", "content")
	n := r.mustFind("f").Node
	r.list(r.Root())
	h := r.opened(n, syscall.O_RDWR)
	const ahead = 10 * time.Hour
	r.learnClock(session.Attr{Flags: session.HasTimes, Mtime: uint32(time.Now().Add(ahead).Unix())}, time.Now())
	wantAhead := func(what string, a Attr) {
		t.Helper()
		if d := time.Until(time.Unix(a.Mtime, 0)); d < ahead-time.Minute || d > ahead+time.Minute {
			t.Errorf("%s has a time %v ahead of now, want %v", what, d, ahead)
		}
	}
	r.holdRequests("MKDIR", "WRITE")
	defer func() {
		r.tap.OnRequest(nil)
		r.tap.Release()
	}()
	d, err := r.Mkdir(ctxOf(t), r.Root(), "d", 0o755)
	if err != nil {
		t.Fatal(err)
	}
	wantAhead("a new directory", d.Attr)
	r.fill(h, "CONTENT")
	r.mu.Lock()
	file, root := r.shown(n), r.shown(r.root)
	r.mu.Unlock()
	wantAhead("a file that is being written", file)
	wantAhead("the directory that has a new name", root)
}

func TestTheServersClockIsLearntFromAWrite(t *testing.T) {
	r := newRig(t, nil)
	r.put("f", "content")
	h := r.opened(r.mustFind("f").Node, syscall.O_RDWR)
	r.clock.Store(3600)
	r.onReplyBehind(nil)
	r.fill(h, "CONTENT")
	if err := h.Flush(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	if ahead := r.clock.Load(); ahead < -clockBlur || ahead > clockBlur {
		t.Errorf("the server's clock is taken to be %d s ahead", ahead)
	}
}
