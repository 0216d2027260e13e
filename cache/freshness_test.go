package cache

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

func TestOpenSeesWhatChangedOnTheServer(t *testing.T) {
	r := newRig(t, nil)
	r.put("f", "old")
	n := r.mustFind("f").Node
	if got := r.readAll(n); got != "old" {
		t.Fatalf("read %q", got)
	}
	r.put("f", "newer")
	h, keep, err := r.Open(ctxOf(t), n, syscall.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()
	if keep {
		t.Error("the kernel's pages were called good")
	}
	if got := r.readOpen(h); got != "newer" {
		t.Errorf("read %q", got)
	}
}

func TestAReaderOfAReplacedFileDoesNotMixItsBytesIntoTheNewOne(t *testing.T) {
	r := newRig(t, nil)
	const size = 4 << 20
	r.put("f", strings.Repeat("o", size))
	n := r.mustFind("f").Node
	at := func(h *Handle) string {
		v, err := h.Read(ctxOf(t), 3<<20, 8)
		if err != nil {
			t.Fatal(err)
		}
		defer v.Release()
		return string(bytes.Join(v.Vecs, nil))
	}
	old := r.opened(n, syscall.O_RDONLY)
	r.put("new", strings.Repeat("N", size+1))
	if err := os.Rename(filepath.Join(r.dir, "new"), filepath.Join(r.dir, "f")); err != nil {
		t.Fatal(err)
	}
	now := r.openedByName("f", syscall.O_RDONLY)
	if got := at(old); got != "oooooooo" {
		t.Errorf("the handle of the old file reads %q", got)
	}
	if got := at(now); got != "NNNNNNNN" {
		t.Errorf("a handle opened after the replacement reads %q", got)
	}
}

func TestUnchangedFileKeepsThePages(t *testing.T) {
	r := newRig(t, nil)
	r.put("f", "same")
	n := r.mustFind("f").Node
	r.readAll(n)
	h, keep, err := r.Open(ctxOf(t), n, syscall.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	h.Release()
	if !keep {
		t.Error("the kernel's pages of an unchanged file were dropped")
	}
}

func TestOldPagesAreNotKeptThoughTheChangeIsKnown(t *testing.T) {
	for name, flags := range map[string]uint32{"for reading": syscall.O_RDONLY, "for writing": syscall.O_RDWR} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil) // without a Notifier: the kernel has not been told
			r.put("f", "old content")
			n := r.mustFind("f").Node
			r.readAll(n)
			r.replace("f", "new content")
			r.mu.Lock()
			n.expire() // what is known of it has had its time
			r.mu.Unlock()
			if _, _, err := r.Getattr(ctxOf(t), n, nil); err != nil { // stat(1)
				t.Fatal(err)
			}
			for i, want := range []bool{false, true} {
				h, keep, err := r.Open(ctxOf(t), n, flags)
				if err != nil {
					t.Fatal(err)
				}
				h.Release()
				if keep != want {
					t.Errorf("open %d after a stat that told of the change: the kernel's pages are called good: %v, want %v", i, keep, want)
				}
			}
		})
	}
}

func TestOwnWritesKeepThePages(t *testing.T) {
	r := newRig(t, nil)
	f := r.create(r.Root(), "f", strings.Repeat("mine", cheapAgain/4+1))
	r.learnt(f.Node)
	h, keep, err := r.Open(ctxOf(t), f.Node, syscall.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	h.Release()
	if !keep {
		t.Error("the pages of what was written here were dropped")
	}
}

func TestAnOpenFileIsLookedAtAlsoWhereItsDirectoryMayNotBeSearched(t *testing.T) {
	r := newRig(t, nil)
	r.put("d/f", "four")
	f := r.mustFind("d/f")
	h, _, err := r.Open(ctxOf(t), f.Node, syscall.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()

	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "LSTAT" {
			return sftptest.Answer(session.StatusPermissionDenied, "Permission denied")
		}
		return sftptest.Pass()
	})
	r.put("d/f", "longer")
	r.mu.Lock()
	f.Node.expire()
	r.mu.Unlock()
	if a, _, err := r.Getattr(ctxOf(t), f.Node, nil); err != nil || a.Size != uint64(len("longer")) {
		t.Errorf("its size is shown as %d, want that of the changed file; %v", a.Size, err)
	}
}
