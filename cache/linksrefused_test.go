package cache

import (
	"testing"
	"time"
)

// What the server tells of a name then differs from what was thought, and yet it is the same file.
func TestAsyncNamesOfAFileWhoseTimesAreRefusedStayItsOwn(t *testing.T) {
	r := newRig(t, async)
	n := r.linkedPair()
	r.refuse("SETSTAT")
	when := time.Unix(1e9, 0)
	if _, _, err := r.Setattr(ctxOf(t), n, nil, SetAttr{Atime: &when, Mtime: &when}); err != nil {
		t.Fatal(err)
	}
	if err := r.Sync(ctxOf(t)); err == nil {
		t.Error("nothing is reported of what was refused")
	}
	r.tap.OnRequest(nil)
	r.wantOneFile(n, "a", "b")
}
