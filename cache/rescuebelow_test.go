package cache

import (
	"testing"
)

// A directory that was not made loses its name before the files that were to go into it.
func TestTheRescueNamesAFileOfADirectoryThatWasNotMade(t *testing.T) {
	r := newRig(t, async)
	answer := r.refuseLater("MKDIR")
	dir := r.Root()
	r.list(dir) // else the server is asked whether the first name is free
	for _, name := range []string{"project", "src"} {
		e, err := r.Mkdir(ctxOf(t), dir, name, 0o755)
		if err != nil {
			t.Fatal(err)
		}
		dir = e.Node
	}
	r.createUndelivered(dir)
	answer()
	if r.Sync(ctxOf(t)) == nil {
		t.Error("no error")
	}
	r.wantRescuedBelow("project/src")
}
