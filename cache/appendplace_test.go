package cache

import (
	"syscall"
	"testing"
	"time"
)

// The kernel has put the bytes into its pages where it believes the file to end.
func TestTheKernelForgetsPagesInWhichAppendedBytesAreAtAnotherPlace(t *testing.T) {
	r := newRig(t, nil)
	r.put("f", "0123456789")
	h := r.opened(r.mustFind("f").Node, syscall.O_WRONLY|syscall.O_APPEND)
	seen := &contentNotices{id: h.n.ID(), came: make(chan struct{}, 100)}
	r.o.Notify = seen
	if _, err := h.Append(ctxOf(t), []byte("there"), 10); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "all notices are given", func() bool {
		r.contents.mu.Lock()
		defer r.contents.mu.Unlock()
		return !r.contents.busy
	})
	if len(seen.came) > 0 {
		t.Error("it forgets them though it was right")
	}
	if _, err := h.Append(ctxOf(t), []byte("elsewhere"), 3); err != nil {
		t.Fatal(err)
	}
	select {
	case <-seen.came:
	case <-time.After(longEnough):
		t.Error("it keeps them")
	}
	if err := h.Flush(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	if got := r.remote("f"); got != "0123456789thereelsewhere" {
		t.Errorf("the server has %q", got)
	}
}
