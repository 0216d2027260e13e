package cache

import (
	"testing"
	"time"
)

// The refusal may come before the program has its answer.
func TestAsyncTimesThatAreRefusedAtOnceAreNotTakenForSet(t *testing.T) {
	r := newRig(t, async)
	n := r.linkedPair()
	r.refuse("SETSTAT")
	for i := range 100 {
		when := time.Unix(1e9+int64(i), 0)
		if _, _, err := r.Setattr(ctxOf(t), n, nil, SetAttr{Atime: &when, Mtime: &when}); err != nil {
			t.Fatal(err)
		}
		if err := r.Sync(ctxOf(t)); err == nil {
			t.Error("nothing is reported of what was refused")
		}
		r.wantOneFile(n, "a", "b")
		if t.Failed() {
			return
		}
	}
}
