package cache

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestHardLinksAreOneFile(t *testing.T) {
	r := newRig(t, nil)
	f := r.create(r.Root(), "a", "one")
	l, err := r.Link(ctxOf(t), f.Node, r.Root(), "b")
	if err != nil {
		t.Fatal(err)
	}
	if l.Attr.Ino != f.Attr.Ino || l.Attr.Nlink != 2 {
		t.Errorf("link: %+v of %+v", l.Attr, f.Attr)
	}
	if err := r.Unlink(ctxOf(t), r.Root(), "a"); err != nil {
		t.Fatal(err)
	}
	if got := r.readAll(r.mustFind("b").Node); got != "one" {
		t.Errorf("read %q", got)
	}
}

func TestLinksStayInsideTheMount(t *testing.T) {
	r := newRig(t, nil)
	r.put("d/e/f", "x")
	for name, target := range map[string]string{
		"rel": "../f", "d/up": "../x", "d/e/up": "../../x", "d/e/out": "../../../x", "d/later": "e/../../..",
		"abs": "/etc/passwd", "d/inside": r.dir + "/d/e/f", "dots": "./x/./y", "rootlink": r.dir,
	} {
		if err := os.Symlink(target, filepath.Join(r.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"d/up": "../x", "d/e/up": "../../x", "d/inside": "e/f", "dots": "./x/./y", "rootlink": ".",
	} {
		if got, err := r.Readlink(ctxOf(t), r.mustFind(name).Node); err != nil || got != want {
			t.Errorf("%s leads to %q, %v, want %q", name, got, err, want)
		}
	}
	for _, name := range []string{"rel", "d/e/out", "d/later", "abs"} {
		_, err := r.Readlink(ctxOf(t), r.mustFind(name).Node)
		wantErrno(t, err, syscall.EPERM)
	}
}

// Programs make absolute links by the path at which they see the mount.
func TestLinksToThePathOfTheMountStayInside(t *testing.T) {
	for _, c := range []struct{ seenAt, target, want string }{ // ROOT is that of the server
		{"/mnt/x", "/mnt/x/d/f", "f"},
		{"/mnt/x", "/mnt/x", "../."},
		{"/mnt/x", "/mnt/xy", ""},
		{"/mnt/x", "/mnt/x/../y", ""},
		{"", "/mnt/x/d/f", ""},
		{"ROOT/mnt", "ROOT/mnt/f", "../f"}, // mounted in the very directory that it shows
		{"ROOT/mnt", "ROOT/f", "../f"},
	} {
		var here *strings.Replacer
		r := newRig(t, func(o *Options) {
			here = strings.NewReplacer("ROOT", o.Root)
			o.SeenAt = here.Replace(c.seenAt)
		})
		r.put("d/f", "")
		if err := os.Symlink(here.Replace(c.target), filepath.Join(r.dir, "d/l")); err != nil {
			t.Fatal(err)
		}
		got, err := r.Readlink(ctxOf(t), r.mustFind("d/l").Node)
		if got != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%s seen at %s leads to %q, %v, want %q", c.target, c.seenAt, got, err, c.want)
		}
	}
}

func TestAHardLinkOfALinkDoesNotLeadOut(t *testing.T) {
	r := newRig(t, nil)
	r.put("d1/d2/f", "x")
	if err := os.Symlink("../../k", filepath.Join(r.dir, "d1/d2/l")); err != nil {
		t.Fatal(err)
	}
	l := r.mustFind("d1/d2/l").Node
	if _, err := r.Link(ctxOf(t), l, r.Root(), "l2"); err != nil {
		t.Skipf("this server makes no hard links of links: %v", err)
	}
	if got, err := r.Readlink(ctxOf(t), l); err == nil {
		t.Errorf("by its second name it leads to %q, out of the mount", got)
	}
}

func TestAReplacedLinkIsReadAgain(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Timeout = 100 * time.Millisecond })
	if err := os.Symlink("v1", filepath.Join(r.dir, "current")); err != nil {
		t.Fatal(err)
	}
	r.list(r.Root())
	n := r.mustFind("current").Node
	if got, err := r.Readlink(ctxOf(t), n); err != nil || got != "v1" {
		t.Fatalf("%q, %v", got, err)
	}
	if err := os.Remove(filepath.Join(r.dir, "current")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("v22", filepath.Join(r.dir, "current")); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the new target shows", func() bool {
		r.list(r.Root())
		got, err := r.Readlink(ctxOf(t), n)
		return err == nil && got == "v22"
	})
}

// What was known of a file that is forgotten goes to the listings that have its names.
func TestAForgottenHardLinkIsShownWithTheSizeThatItHas(t *testing.T) {
	r := newRig(t, func(o *Options) { o.MaxNames = 1 })
	root := r.Root()
	r.put("other", "x")
	r.put("another", "x")
	n := r.create(root, "a", "12345").Node
	r.list(root)
	if _, err := r.Link(ctxOf(t), n, root, "b"); err != nil {
		t.Fatal(err)
	}
	h, _, err := r.Open(ctxOf(t), n, syscall.O_WRONLY)
	if err != nil {
		t.Fatal(err)
	}
	r.fill(h, "1234567890")
	r.finish(h)
	r.learnt(n)
	r.Forget(n.ID(), 100)
	for _, name := range []string{"other", "another"} {
		r.Forget(r.mustFind(name).Node.ID(), 1)
	}
	if r.Node(n.ID()) != nil {
		t.Fatal("it is known still")
	}
	for _, name := range []string{"a", "b"} {
		if got := r.mustFind(name).Attr.Size; got != 10 {
			t.Errorf("%s is shown with %d bytes", name, got)
		}
	}
}
