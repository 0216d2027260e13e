package cache

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// As by /dev/stdin: bash makes a here-document of more than a pipe holds in a file, and takes its name away.
func TestAFileWithoutANameIsOpenedOnceMore(t *testing.T) {
	for name, change := range map[string]func(*Options){"default": nil, "async": async} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, change)
			f, h, err := r.Create(ctxOf(t), r.Root(), "temporary", syscall.O_RDWR, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := h.Write(ctxOf(t), []byte("content"), 0); err != nil {
				t.Fatal(err)
			}
			if err := r.Unlink(ctxOf(t), r.Root(), "temporary"); err != nil {
				t.Fatal(err)
			}
			again, _, err := r.Open(ctxOf(t), f.Node, syscall.O_RDWR)
			if err != nil {
				t.Fatal(err)
			}
			if got := r.readOpen(again); got != "content" {
				t.Errorf("it reads %q", got)
			}
			if _, err := again.Write(ctxOf(t), []byte("CON"), 0); err != nil {
				t.Fatal(err)
			}
			if err := again.Fsync(ctxOf(t)); err != nil {
				t.Error(err)
			}
			again.Release()
			if got := r.readOpen(h); got != "CONtent" {
				t.Errorf("the other then reads %q", got)
			}
			again, _, err = r.Open(ctxOf(t), f.Node, syscall.O_RDONLY)
			if err != nil {
				t.Fatal(err)
			}
			h.Release() // the first goes before the second
			if err := r.Sync(ctxOf(t)); err != nil {
				t.Error(err)
			}
			r.mu.Lock()
			f.Node.file.data.Drop() // what is read comes from the server
			r.mu.Unlock()
			if got := r.readOpen(again); got != "CONtent" {
				t.Errorf("when the first is closed the second reads %q", got)
			}
			_, _, err = r.Open(ctxOf(t), f.Node, syscall.O_WRONLY)
			wantErrno(t, err, syscall.ESTALE) // what is open there can't be written
			again.Release()
			_, _, err = r.Open(ctxOf(t), f.Node, syscall.O_RDONLY)
			wantErrno(t, err, syscall.ESTALE)
		})
	}
}

func TestAFileWithoutANameIsTruncatedByOpening(t *testing.T) {
	r := newRig(t, nil)
	r.put("f", "content")
	n := r.mustFind("f").Node
	h := r.opened(n, syscall.O_RDWR)
	if err := r.Unlink(ctxOf(t), r.Root(), "f"); err != nil {
		t.Fatal(err)
	}
	again := r.opened(n, syscall.O_WRONLY|syscall.O_TRUNC)
	if _, err := again.Write(ctxOf(t), []byte("new"), 0); err != nil {
		t.Fatal(err)
	}
	if got := r.readOpen(h); got != "new" {
		t.Errorf("it reads %q", got)
	}
}

// A rename over a file takes its name away as a removal does.
func TestAFileThatWasReplacedByARenameIsOpenedOnceMore(t *testing.T) {
	for name, change := range map[string]func(*Options){"default": nil, "async": async} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, change)
			r.put("f", "old")
			r.put("new", "new")
			n := r.mustFind("f").Node
			r.mustFind("new")
			r.opened(n, syscall.O_RDONLY)
			if err := r.Rename(ctxOf(t), r.Root(), "new", r.Root(), "f", false); err != nil {
				t.Fatal(err)
			}
			if got := r.readOpen(r.opened(n, syscall.O_RDONLY)); got != "old" {
				t.Errorf("it reads %q", got)
			}
			if got, err := r.read("f"); got != "new" || err != nil {
				t.Errorf("what has its name reads %q, %v", got, err)
			}
		})
	}
}

// What took the name of an open file on the server is found by it.
func TestAnOpenFileThatWasReplacedOnTheServerIsNotOpenedByItsName(t *testing.T) {
	r := newRig(t, nil)
	r.put("f", "old")
	n := r.mustFind("f").Node
	r.opened(n, syscall.O_RDONLY)
	if err := os.Remove(filepath.Join(r.dir, "f")); err != nil {
		t.Fatal(err)
	}
	_, _, err := r.Open(ctxOf(t), n, syscall.O_RDONLY)
	wantErrno(t, err, syscall.ENOENT)
	_, _, err = r.Open(ctxOf(t), n, syscall.O_RDONLY)
	wantErrno(t, err, syscall.ESTALE)
}

// As a temporary file that its program has unlinked. What the program has open can't be found after the line was lost, and the bytes are
// nobody's loss but the program's, which is told.
func TestBytesOfAFileThatWasRemovedHereAreNotRescued(t *testing.T) {
	for name, change := range map[string]func(*Options){"default": nil, "async": async} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, change)
			_, h, err := r.Create(ctxOf(t), r.Root(), "temporary", syscall.O_RDWR, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			defer h.Release()
			if err := r.Unlink(ctxOf(t), r.Root(), "temporary"); err != nil {
				t.Fatal(err)
			}
			if err := r.Sync(ctxOf(t)); err != nil {
				t.Fatal(err)
			}
			r.srv.Cut()
			if _, err := h.Write(ctxOf(t), []byte("content"), 0); err != nil {
				t.Fatal(err)
			}
			wantErrno(t, h.Fsync(ctxOf(t)), syscall.ESTALE)
			if err := r.Sync(ctxOf(t)); err != nil {
				t.Errorf("Sync tells of %v", err)
			}
			if got := r.Status().Rescued; len(got) > 0 {
				t.Errorf("rescued: %q", got)
			}
		})
	}
}

func TestUnlinkedOpenFileStaysUsable(t *testing.T) {
	r := newRig(t, nil)
	f, h, err := r.Create(ctxOf(t), r.Root(), "tmp", syscall.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()
	if err := r.Unlink(ctxOf(t), r.Root(), "tmp"); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Write(ctxOf(t), []byte("hidden"), 0); err != nil {
		t.Fatal(err)
	}
	if got := r.readOpen(h); got != "hidden" {
		t.Errorf("read %q", got)
	}
	if err := h.Fsync(ctxOf(t)); err != nil {
		t.Error(err)
	}
	a, _, err := r.Getattr(ctxOf(t), f.Node, h)
	if err != nil || a.Size != 6 || a.Nlink != 0 {
		t.Errorf("%+v, %v", a, err)
	}
	size := uint64(3)
	if a, _, err = r.Setattr(ctxOf(t), f.Node, h, SetAttr{Size: &size}); err != nil || a.Size != 3 {
		t.Errorf("truncated: %+v, %v", a, err)
	}
	if got := r.readOpen(h); got != "hid" {
		t.Errorf("read %q", got)
	}
}
