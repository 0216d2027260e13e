package cache

import (
	"errors"
	"syscall"
	"testing"

	"sshmount/sftpconn/sftptest"
)

// The second rename was to move on what the first has brought, not what has been there before.
func TestAsyncWhatARefusedRenameHasLeftIsNotMovedOn(t *testing.T) {
	r := newRig(t, async)
	files := []string{"a", "b", "c"}
	for _, name := range files {
		r.put(name, "content of "+name)
	}
	r.list(r.Root())
	nodes := map[string]*Node{}
	for _, name := range files {
		nodes[name] = r.mustFind(name).Node
	}
	answer := r.refuseFirst("posix-rename@openssh.com")
	err := errors.Join(r.Rename(ctxOf(t), r.Root(), "a", r.Root(), "b", false), r.Rename(ctxOf(t), r.Root(), "b", r.Root(), "c", false))
	if err != nil {
		t.Fatal(err)
	}
	answer()
	if err := r.Sync(ctxOf(t)); err == nil {
		t.Error("nothing is reported of what was refused")
	}
	for _, name := range files {
		if got := r.remote(name); got != "content of "+name {
			t.Errorf("%s has %q on the server", name, got)
		}
		if f := r.mustFind(name); f.Node != nodes[name] {
			t.Errorf("by %q another file is found", name)
		}
		if got, err := r.read(name); got != "content of "+name || err != nil {
			t.Errorf("%s reads %q, %v", name, got, err)
		}
	}
}

// As where two machines save a file by the same name beside it.
func TestAsyncWhatHasComeWhereAFileWasToBeMadeIsNotMovedForIt(t *testing.T) {
	r := newRig(t, async)
	r.put("f", "content")
	r.list(r.Root())
	let := make(chan struct{})
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "OPEN" {
			<-let
		}
		return sftptest.Pass()
	})
	_, h, err := r.Create(ctxOf(t), r.Root(), "f~", syscall.O_WRONLY|syscall.O_EXCL, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	r.fill(h, "new")
	h.Release()
	if err := r.Rename(ctxOf(t), r.Root(), "f~", r.Root(), "f", false); err != nil {
		t.Fatal(err)
	}
	r.put("f~", "others'")
	close(let)
	if err := r.Sync(ctxOf(t)); err == nil {
		t.Error("nothing is reported of what was refused")
	}
	for name, want := range map[string]string{"f": "content", "f~": "others'"} {
		if got := r.remote(name); got != want {
			t.Errorf("%s has %q on the server", name, got)
		}
	}
	if got := r.rescued("f"); len(got) != 1 || got[0] != "new" {
		t.Errorf("rescued: %q", got)
	}
}
