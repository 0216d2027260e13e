package cache

import (
	"os"
	"path/filepath"
	"testing"
)

// Some servers tell the targets of all links as absolute ones.
func TestAnAbsoluteTargetIsShownByTheShortestWay(t *testing.T) {
	r := newRig(t, nil)
	for _, dir := range []string{"a/b/c", "a/bc", "x"} {
		if err := os.MkdirAll(filepath.Join(r.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	ways := []struct{ link, target, want string }{
		{"a/b/l0", "a/b/f", "f"},
		{"a/b/l1", "a/b/c/f", "c/f"},
		{"a/b/l2", "a/f", "../f"},
		{"a/b/l3", "a/b", "../b"},
		{"a/b/l4", "a", "../../a"},
		{"a/b/l5", "x/f", "../../x/f"},
		{"a/b/l6", "a/bc/f", "../bc/f"},
		{"a/b/l7", "", "../../."},
		{"l8", "a/b", "a/b"},
		{"a/b/c/l9", "a/b//c/f", "..//c/f"},
		{"a/b/c/l10", "a/b/c/", "."},
	}
	for _, way := range ways {
		if err := os.Symlink(r.dir+"/"+way.target, filepath.Join(r.dir, way.link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, way := range ways {
		got, err := r.Readlink(ctxOf(t), r.mustFind(way.link).Node)
		if got != way.want || err != nil {
			t.Errorf("%s to %q is shown as %q, %v, want %q", way.link, way.target, got, err, way.want)
		}
	}
}
