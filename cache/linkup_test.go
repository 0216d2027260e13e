package cache

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// What a name in a target leads to is the server's to say: ".." behind it may be outside, however deep the link stands.
func TestALinkThatGoesUpBehindANameIsNotFollowed(t *testing.T) {
	r := newRig(t, nil)
	r.put("a/b/c/f", "content")
	if err := os.Symlink("name/../f", filepath.Join(r.dir, "a/b/c/link")); err != nil {
		t.Fatal(err)
	}
	_, err := r.Readlink(ctxOf(t), r.mustFind("a/b/c/link").Node)
	wantErrno(t, err, syscall.EPERM)
}
