package cache

import (
	"fmt"
	"syscall"
	"testing"
)

func TestStatusCountsMoreUnsavedFilesThanItNames(t *testing.T) {
	const files = maxUnsavedListed + 20
	r := newRig(t, async)
	r.list(r.Root())
	r.srv.Freeze()
	for i := range files {
		_, h, err := r.Create(ctxOf(t), r.Root(), fmt.Sprint("f", i), syscall.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Write(ctxOf(t), []byte("x"), 0); err != nil {
			t.Fatal(err)
		}
		h.Release()
	}
	s := r.Status()
	if s.UnsavedCount != files || len(s.UnsavedFiles) != maxUnsavedListed || s.UnsavedBytes != files {
		t.Errorf("of %d unsaved files %d are counted, with %d bytes, and %d named", files, s.UnsavedCount, s.UnsavedBytes, len(s.UnsavedFiles))
	}
	r.srv.Thaw()
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	if s := r.Status(); s.UnsavedCount != 0 {
		t.Errorf("%d files are called unsaved behind a sync", s.UnsavedCount)
	}
}

func TestStatusNamesAnUnsavedFileThatHasNoNameAnyMore(t *testing.T) {
	r := newRig(t, nil)
	n := r.create(r.Root(), "f", "").Node
	h := r.opened(n, syscall.O_WRONLY)
	if err := r.Unlink(ctxOf(t), r.Root(), "f"); err != nil {
		t.Fatal(err)
	}
	r.srv.Freeze()
	defer r.srv.Thaw()
	if _, err := h.Write(ctxOf(t), []byte("x"), 0); err != nil {
		t.Fatal(err)
	}
	if s := r.Status(); len(s.UnsavedFiles) != 1 || s.UnsavedFiles[0].Path == "" {
		t.Errorf("unsaved are %q", s.UnsavedFiles)
	}
}
