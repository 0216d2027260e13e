package cache

import (
	"errors"
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

// A change that waits for room in the backlog has the path that there is when its turn comes.
func TestAsyncAChangeThatWaitedFollowsARenameOfItsDirectory(t *testing.T) {
	r := newRig(t, async)
	d, err := r.Mkdir(ctxOf(t), r.Root(), "d", 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	r.list(r.Root())
	for range maxBacklog {
		r.queue.room <- struct{}{}
	}
	renamed, made := make(chan error, 1), make(chan error, 1)
	go func() { renamed <- r.Rename(ctxOf(t), r.Root(), "d", r.Root(), "e", false) }()
	waiting := func(n int) func() bool {
		return func() bool { return parkedIn("takeRoom") == n }
	}
	waitFor(t, "the rename waits for room", waiting(1))
	go func() {
		_, err := r.Mkdir(ctxOf(t), d.Node, "sub", 0o755)
		made <- err
	}()
	waitFor(t, "the directory waits behind it", waiting(2))
	<-r.queue.room
	if err := <-renamed; err != nil {
		t.Fatal(err)
	}
	for range maxBacklog - 1 {
		<-r.queue.room
	}
	if err := <-made; err != nil {
		t.Fatal(err)
	}
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(r.dir, "e/sub")); err != nil {
		t.Error(err)
	}
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

// Nobody waits for a close's release: it must not stand in the row for as long as the line is down.
func TestAsyncAReleaseDoesNotWaitForRoomInTheBacklog(t *testing.T) {
	r := newRig(t, async)
	r.list(r.Root())
	_, h, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Write(ctxOf(t), []byte("content"), 0); err != nil {
		t.Fatal(err)
	}
	for range maxBacklog {
		r.queue.room <- struct{}{}
	}
	released := make(chan struct{})
	go func() {
		h.Release()
		close(released)
	}()
	select {
	case <-released:
	case <-time.After(longEnough):
		t.Error("it waits")
	}
	for range maxBacklog {
		<-r.queue.room
	}
	<-released
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	if got := r.remote("f"); got != "content" {
		t.Errorf("the server has %q", got)
	}
}

// A name that another client has made since the listing is no reason to refuse an open with O_CREAT that was answered.
func TestCreateOverAFileThatCameMeanwhile(t *testing.T) {
	for name, change := range map[string]func(*Options){"default": nil, "async": async} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, change)
			r.list(r.Root())
			r.put("f", "theirs, a longer content")
			_, h, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_WRONLY|syscall.O_CREAT|syscall.O_TRUNC, 0o644)
			if err != nil {
				t.Fatal(err)
			}
			_, err = h.Write(ctxOf(t), []byte("ours"), 0)
			if err := errors.Join(err, h.Flush(ctxOf(t))); err != nil {
				t.Error(err)
			}
			h.Release()
			if err := r.Sync(ctxOf(t)); err != nil {
				t.Error(err)
			}
			if got := r.remote("f"); got != "ours" {
				t.Errorf("the server has %q", got)
			}
		})
	}
}

// What has its turn before may be what takes the name: then nothing is known beforehand.
func TestAsyncAFileIsMadeOverWhatARenameHasBroughtMeanwhile(t *testing.T) {
	r := newRig(t, async)
	r.put("d/new", "theirs")
	r.put("x", "")
	r.list(r.Root())
	d := r.mustFind("d").Node
	r.list(d)
	r.holdReply("posix-rename@openssh.com")
	renamed := make(chan error, 1)
	go func() { renamed <- r.Rename(ctxOf(t), d, "new", r.Root(), "f", false) }() // which waits for the server
	r.waitHeld()
	type made struct {
		f   Found
		h   *Handle
		err error
	}
	created := make(chan made, 1)
	go func() {
		f, h, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_RDWR, 0o644)
		created <- made{f, h, err}
	}()
	waitFor(t, "the creation waits for its turn", func() bool { return r.queue.count.Load() == 2 })
	r.tap.OnReply(nil)
	r.tap.Release()
	if err := <-renamed; err != nil {
		t.Fatal(err)
	}
	m := <-created
	if m.err != nil {
		t.Fatal(m.err)
	}
	if _, err := m.h.Write(ctxOf(t), []byte("OUR"), 0); err != nil {
		t.Fatal(err)
	}
	m.h.Release()
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Error(err)
	}
	if got := r.remote("f"); got != "OURirs" {
		t.Errorf("the server has %q", got)
	}
}

// rename(2) leaves two names of one file as they are.
func TestAsyncARenameOverALinkThatIsJustMadeLeavesBothNames(t *testing.T) {
	r := newRig(t, async)
	r.put("b", "content")
	r.list(r.Root())
	n := r.mustFind("b").Node
	r.holdReply("hardlink@openssh.com")
	linked, renamed := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := r.Link(ctxOf(t), n, r.Root(), "a")
		linked <- err
	}()
	r.waitHeld()
	go func() { renamed <- r.Rename(ctxOf(t), r.Root(), "b", r.Root(), "a", false) }()
	waitFor(t, "the rename waits for its turn", func() bool { return r.queue.count.Load() == 2 })
	r.tap.OnReply(nil)
	r.tap.Release()
	if err := errors.Join(<-linked, <-renamed, r.Sync(ctxOf(t))); err != nil {
		t.Fatal(err)
	}
	if got := names(r.list(r.Root())); !got["a"] || !got["b"] {
		t.Errorf("the directory is listed with %v", got)
	}
	for _, name := range []string{"a", "b"} {
		if _, err := r.find(name); err != nil {
			t.Error(err)
		}
	}
}
