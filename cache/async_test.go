package cache

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
)

func TestAsyncAnswersBeforeTheServer(t *testing.T) {
	r := newRig(t, async)
	r.list(r.Root())
	r.srv.Freeze()
	d, err := r.Mkdir(ctxOf(t), r.Root(), "d", 0o750)
	if err != nil {
		t.Fatal(err)
	}
	when := time.Unix(1_000_000_000, 0)
	for i := range 50 {
		f := r.create(d.Node, fmt.Sprint("f", i), fmt.Sprint("content ", i))
		if _, _, err := r.Setattr(ctxOf(t), f.Node, nil, SetAttr{Atime: &when, Mtime: &when}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Rename(ctxOf(t), d.Node, "f0", d.Node, "g0", false); err != nil {
		t.Fatal(err)
	}
	if err := r.Unlink(ctxOf(t), d.Node, "f1"); err != nil {
		t.Fatal(err)
	}
	if err := r.Rename(ctxOf(t), r.Root(), "d", r.Root(), "e", false); err != nil {
		t.Fatal(err)
	}
	if r.Status().UnsavedOps == 0 {
		t.Error("nothing is called unsaved while the line is frozen")
	}
	r.srv.Thaw()
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		name := fmt.Sprint("e/f", i)
		switch i {
		case 0:
			name = "e/g0"
		case 1:
			if _, err := os.Stat(filepath.Join(r.dir, name)); err == nil {
				t.Error("the unlinked file is there")
			}
			continue
		}
		if got := r.remote(name); got != fmt.Sprint("content ", i) {
			t.Errorf("%s holds %q", name, got)
		}
		if fi, err := os.Stat(filepath.Join(r.dir, name)); err != nil || !fi.ModTime().Equal(when) {
			t.Errorf("%s: times %v, %v", name, fi, err)
		}
	}
	if fi, err := os.Stat(filepath.Join(r.dir, "e")); err != nil || fi.Mode().Perm() != 0o750 {
		t.Errorf("e: %v, %v", fi, err)
	}
}

func TestAsyncRemovesATreeInOrder(t *testing.T) {
	r := newRig(t, async)
	for i := range 40 {
		r.put(fmt.Sprintf("t/d%d/f%d", i%5, i), "x")
	}
	var remove func(n *Node)
	remove = func(n *Node) {
		for _, e := range r.list(n) {
			f, err := r.Lookup(ctxOf(t), n, e.Name)
			if err != nil {
				t.Fatal(err)
			}
			if e.Mode == syscall.S_IFDIR {
				remove(f.Node)
				err = r.Rmdir(ctxOf(t), n, e.Name)
			} else {
				err = r.Unlink(ctxOf(t), n, e.Name)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	remove(r.Root())
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(r.dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// The first file of a mount is written in pieces as large as the server takes, though it was not opened yet.
func TestAsyncWritesTheFirstFileInLargePieces(t *testing.T) {
	r := newRig(t, async)
	r.list(r.Root())
	_, h, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	content := strings.Repeat("0123456789abcdef", 4<<20/16)
	// Of the first alone: what follows an answer that a busy machine was slow to give may be cut smaller.
	var first atomic.Int64
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "WRITE" {
			first.CompareAndSwap(0, int64(len(p.Body)))
		}
		return sftptest.Pass()
	})
	if _, err := h.Write(ctxOf(t), []byte(content), 0); err != nil {
		t.Fatal(err)
	}
	if err := h.Fsync(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	h.Release()
	if got := r.remote("f"); got != content {
		t.Errorf("%d bytes arrived, or others than were written; %d wanted", len(got), len(content))
	}
	if n := first.Load(); n < int64(r.conn.MaxWrite())*9/10 {
		t.Errorf("the first WRITE has %d bytes, of %d that the server takes", n, r.conn.MaxWrite())
	}
}

func TestAsyncTreeCostsFewFlights(t *testing.T) {
	r := newRig(t, async)
	r.list(r.Root())
	r.costs("making 100 files in 10 directories", 8, func() {
		for i := range 10 {
			d, err := r.Mkdir(ctxOf(t), r.Root(), fmt.Sprint("d", i), 0o755)
			if err != nil {
				t.Fatal(err)
			}
			for j := range 10 {
				r.create(d.Node, fmt.Sprint("f", j), "content")
			}
		}
		if err := r.Sync(ctxOf(t)); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAsyncADirectoryDoesNotMoveIntoItself(t *testing.T) {
	r := newRig(t, async)
	r.list(r.Root())
	d, err := r.Mkdir(ctxOf(t), r.Root(), "d", 0o755)
	if err != nil {
		t.Fatal(err)
	}
	wantErrno(t, r.Rename(ctxOf(t), r.Root(), "d", d.Node, "e", false), syscall.EINVAL)
	r.mustFind("d")
}
