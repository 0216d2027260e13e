package cache

import (
	"testing"
)

// Each waits for the one before it, and not for all: a program that saves the same file again and again has thousands of them on their way.
func TestAsyncABacklogAtOneNameHoldsNoListOfTheOthersForEach(t *testing.T) {
	r := newRig(t, async)
	r.put("a", "content")
	r.list(r.Root())
	n := r.mustFind("a").Node
	const rename = "posix-rename@openssh.com"
	r.holdRequests(rename)
	const moves = 50
	for i := range moves {
		names := [2]string{"a", "b"}
		if err := r.Rename(ctxOf(t), r.Root(), names[i%2], r.Root(), names[(i+1)%2], false); err != nil {
			t.Fatal(err)
		}
	}
	r.waitHeld()
	waits := 0
	r.queue.mu.Lock()
	for _, p := range r.queue.at[r.dir+"/a"] {
		waits += len(p.before)
	}
	r.queue.mu.Unlock()
	if waits > 2*moves {
		t.Errorf("%d changes wait for %d in all", moves, waits)
	}
	r.tap.OnRequest(nil)
	r.tap.Release()
	r.wantSynced("content", "a")
	r.wantOneFile(n, "a")
}
