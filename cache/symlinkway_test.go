package cache

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"sshmount/sftpconn/sftptest"
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

func TestALinkThatIsToldAsAbsoluteIsReadAgainWhenItIsMoved(t *testing.T) {
	r := newRig(t, nil)
	r.put("d/f", "x")
	r.put("d/e/f", "x")
	for _, link := range []string{"d/l", "d/e/l"} {
		if err := os.Symlink("f", filepath.Join(r.dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	r.tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Request == nil || p.Request.Name != "READLINK" {
			return sftptest.Pass()
		}
		target := filepath.Join(filepath.Dir(p.Request.Text), "f")
		body := append(binary.BigEndian.AppendUint32(nil, p.ID), 0, 0, 0, 1)
		body = append(binary.BigEndian.AppendUint32(body, uint32(len(target))), target...)
		body = binary.BigEndian.AppendUint64(body, 0) // no long name, no attributes
		return sftptest.ReplaceRaw(append(append(binary.BigEndian.AppendUint32(nil, uint32(1+len(body))), 104), body...))
	})
	defer r.tap.OnReply(nil)
	leads := func(link string) {
		t.Helper()
		if got, err := r.Readlink(ctxOf(t), r.mustFind(link).Node); err != nil || got != "f" {
			t.Errorf("%s leads to %q, %v", link, got, err)
		}
	}
	leads("d/l")
	leads("d/e/l")
	if err := r.Rename(ctxOf(t), r.Root(), "d", r.Root(), "moved", false); err != nil {
		t.Fatal(err)
	}
	leads("moved/l")
	leads("moved/e/l")
	if err := r.Rename(ctxOf(t), r.mustFind("moved/e").Node, "l", r.mustFind("moved").Node, "l2", false); err != nil {
		t.Fatal(err)
	}
	leads("moved/l2")
}
