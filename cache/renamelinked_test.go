package cache

import (
	"os"
	"path/filepath"
	"testing"
)

// As rename(2) does: but that both are one file, by a hard link that others have made, only the server knows.
func TestARenameOntoAnotherNameOfTheFileLeavesBoth(t *testing.T) {
	for mode, options := range map[string]func(*Options){"default": nil, "async": async} {
		t.Run(mode, func(t *testing.T) {
			r := newRig(t, options)
			r.put("a", "content")
			if err := os.Link(filepath.Join(r.dir, "a"), filepath.Join(r.dir, "b")); err != nil {
				t.Fatal(err)
			}
			r.list(r.Root())
			for _, name := range []string{"a", "b"} {
				r.mustFind(name)
			}
			if err := r.Rename(ctxOf(t), r.Root(), "a", r.Root(), "b", false); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"a", "b"} {
				if got := r.readAll(r.mustFind(name).Node); got != "content" {
					t.Errorf("%s reads %q", name, got)
				}
			}
			if got := names(r.list(r.Root())); len(got) != 2 {
				t.Errorf("listed: %v", got)
			}
		})
	}
}
