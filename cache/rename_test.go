package cache

import "testing"

func TestARenameOfOneNameOfAFileToAnotherLeavesBoth(t *testing.T) {
	r := newRig(t, nil)
	r.put("a", "content")
	n := r.mustFind("a").Node
	if _, err := r.Link(ctxOf(t), n, r.Root(), "b"); err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	n.expire() // only the server can say what the names are
	r.mu.Unlock()
	if err := r.Rename(ctxOf(t), r.Root(), "a", r.Root(), "b", false); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b"} {
		if got := r.readAll(r.mustFind(name).Node); got != "content" {
			t.Errorf("%s holds %q", name, got)
		}
	}
}
