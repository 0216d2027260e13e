package cache

import (
	"syscall"
	"testing"
)

// link(2) has looked the name up before it was given to another file. After ESTALE the kernel looks it up once more.
func TestALinkIsMadeOfTheFileThatHasGotTheName(t *testing.T) {
	r := newRig(t, nil)
	r.put("f", "old")
	n := r.mustFind("f").Node
	r.opened(n, syscall.O_RDONLY)
	r.replace("f", "a new one")
	r.distrustNode(n)
	r.mustFind("f")
	_, err := r.Link(ctxOf(t), n, r.Root(), "g")
	wantErrno(t, err, syscall.ESTALE)
	err = r.asTheKernel("f", func(n *Node) error {
		_, err := r.Link(ctxOf(t), n, r.Root(), "g")
		return err
	})
	if got := r.remote("g"); err != nil || got != "a new one" {
		t.Errorf("the link has %q; %v", got, err)
	}
}

func TestOfARemovedFileNoLinkIsMade(t *testing.T) {
	r := newRig(t, nil)
	r.put("f", "old")
	n := r.mustFind("f").Node
	r.opened(n, syscall.O_RDONLY)
	if err := r.Unlink(ctxOf(t), r.Root(), "f"); err != nil {
		t.Fatal(err)
	}
	_, err := r.Link(ctxOf(t), n, r.Root(), "g")
	wantErrno(t, err, syscall.ENOENT)
}
