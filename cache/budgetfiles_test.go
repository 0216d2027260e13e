package cache

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

func TestColdSmallFileCostsOneFlight(t *testing.T) {
	r := newRig(t, nil)
	r.put("a", strings.Repeat("x", 60_000))
	n := r.mustFind("a").Node
	r.costs("open, read, close", 1, func() {
		if got := r.readAll(n); len(got) != 60_000 {
			t.Errorf("%d bytes", len(got))
		}
	})
}

func TestWriteAndFsyncCostOneFlight(t *testing.T) {
	r := newRig(t, nil)
	r.put("f", "old")
	h := r.opened(r.mustFind("f").Node, syscall.O_WRONLY)
	r.costs("write, fsync", 1, func() {
		if _, err := h.Write(ctxOf(t), []byte("new"), 0); err != nil {
			t.Fatal(err)
		}
		if err := h.Fsync(ctxOf(t)); err != nil {
			t.Fatal(err)
		}
	})
	if got := r.tap.Count("fsync@openssh.com"); got != 1 {
		t.Errorf("%d fsyncs were asked for", got)
	}
}

// As databases and editors do with a file that stays open: the mtime comes in the flight of the bytes from the second time on.
func TestWriteFsyncAndStatAgainCostOneFlight(t *testing.T) {
	r := newRig(t, nil)
	r.put("f", "old")
	n := r.mustFind("f").Node
	h := r.opened(n, syscall.O_WRONLY)
	save := func() {
		t.Helper()
		if _, err := h.Write(ctxOf(t), []byte("new"), 0); err != nil {
			t.Fatal(err)
		}
		if err := h.Fsync(ctxOf(t)); err != nil {
			t.Fatal(err)
		}
		a, ttl, err := r.Getattr(ctxOf(t), n, nil)
		if err != nil || ttl == 0 {
			t.Errorf("stat: trusted for %v, %v", ttl, err)
		}
		if st, err := os.Stat(filepath.Join(r.dir, "f")); err != nil || st.ModTime().Unix() != a.Mtime {
			t.Errorf("stat tells %d, and the server has %v, %v", a.Mtime, st, err)
		}
	}
	r.costs("write, fsync, stat", 1, save)
	save()
	for range 3 {
		r.costs("write, fsync, stat once more", 1, save)
	}
}

func TestCreateWriteSetTimesCloseCostsTwoFlights(t *testing.T) {
	r := newRig(t, nil)
	_, _ = r.find("new")
	when := time.Unix(1_000_000_000, 0)
	r.costs("create, write, set times, close", 2, func() {
		f, h, err := r.Create(ctxOf(t), r.Root(), "new", syscall.O_WRONLY, 0o640)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Write(ctxOf(t), []byte("hello"), 0); err != nil {
			t.Fatal(err)
		}
		a, _, err := r.Setattr(ctxOf(t), f.Node, h, SetAttr{Atime: &when, Mtime: &when})
		if err != nil || a.Mtime != when.Unix() || a.Size != 5 {
			t.Errorf("setattr: %+v, %v", a, err)
		}
		if err := h.Flush(ctxOf(t)); err != nil {
			t.Fatal(err)
		}
		h.Release()
		if a, _, err := r.Getattr(ctxOf(t), f.Node, nil); err != nil || a.Mtime != when.Unix() || a.Size != 5 {
			t.Errorf("after close: %+v, %v", a, err)
		}
	})
	fi, err := os.Stat(filepath.Join(r.dir, "new"))
	if err != nil {
		t.Fatal(err)
	}
	if fi.Mode().Perm() != 0o640 || !fi.ModTime().Equal(when) || r.remote("new") != "hello" {
		t.Errorf("on the server: %v %v %q", fi.Mode(), fi.ModTime(), r.remote("new"))
	}
}

// As root tar sets everything: the times first, then the owner that the file has already, then the mode.
func TestExtractingAFileCostsTwoFlights(t *testing.T) {
	r := newRig(t, nil)
	when := time.Unix(1_000_000_000, 0)
	uid, gid, mode := uint32(os.Getuid()), uint32(os.Getgid()), uint32(0o644)
	set := func(n *Node, h *Handle, s SetAttr) {
		t.Helper()
		if _, _, err := r.Setattr(ctxOf(t), n, h, s); err != nil {
			t.Error(err)
		}
	}
	var d Found
	r.costs("mkdir", 1, func() {
		var err error
		if d, err = r.Mkdir(ctxOf(t), r.Root(), "d", 0o700); err != nil {
			t.Fatal(err)
		}
	})
	r.costs("create, write, set times, owner and mode, close", 2, func() {
		f, h, err := r.Create(ctxOf(t), d.Node, "f", syscall.O_WRONLY|syscall.O_EXCL, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Write(ctxOf(t), []byte("hello"), 0); err != nil {
			t.Fatal(err)
		}
		set(f.Node, h, SetAttr{Mtime: &when})
		set(f.Node, h, SetAttr{UID: &uid, GID: &gid})
		set(f.Node, h, SetAttr{Mode: &mode})
		if err := h.Flush(ctxOf(t)); err != nil {
			t.Fatal(err)
		}
		h.Release()
	})
	r.costs("times, owner and mode of the directory", 2, func() {
		set(d.Node, nil, SetAttr{Mtime: &when})
		set(d.Node, nil, SetAttr{UID: &uid, GID: &gid})
		set(d.Node, nil, SetAttr{Mode: &mode})
	})
	for _, name := range []string{"d", "d/f"} {
		fi, err := os.Stat(filepath.Join(r.dir, name))
		if err != nil || fi.Mode().Perm() != 0o644 || !fi.ModTime().Equal(when) {
			t.Errorf("%s on the server: %v %v, %v", name, fi.Mode(), fi.ModTime(), err)
		}
	}
	if got := r.remote("d/f"); got != "hello" {
		t.Errorf("it holds %q", got)
	}
}

func TestTheHandleOfAClosedFileServesTheNextOpen(t *testing.T) {
	r := newRig(t, nil)
	r.put("f", "content")
	n := r.mustFind("f").Node
	r.readAll(n)
	r.tap.Reset()
	for range 3 {
		if got := r.readAll(n); got != "content" {
			t.Errorf("read %q", got)
		}
	}
	if got := r.tap.Requests(); got["OPEN"] != 0 || got["LSTAT"] != 3 {
		t.Errorf("three opens cost %v, want three LSTATs", got)
	}
	r.put("f", "another content")
	if got := r.readAll(n); got != "another content" {
		t.Errorf("after a change on the server it reads %q", got)
	}
}

// As editors and compilers save: under another name first. The file is known by its new one then.
func TestAFileRenamedRightAfterItsCloseIsKnown(t *testing.T) {
	r := newRig(t, nil)
	var told, asked sync.Once
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		act := sftptest.Pass()
		if p.Name == "FSTAT" { // the first goes out behind the bytes; where that fails, another does behind the close
			told.Do(func() { act = sftptest.Answer(session.StatusFailure, "not now") })
		}
		return act
	})
	r.onReplyBehind(func(p sftptest.Packet) sftptest.Action {
		act := sftptest.Pass()
		if p.Request != nil && p.Request.Name == "FSTAT" && p.Name == "ATTRS" { // the rename overtakes it
			asked.Do(func() { act = sftptest.Hold() })
		}
		return act
	})
	n := r.create(r.Root(), ".f.new", "content").Node
	r.waitHeld()
	if err := r.Rename(ctxOf(t), r.Root(), ".f.new", r.Root(), "f", false); err != nil {
		t.Fatal(err)
	}
	r.tap.Release()
	r.learnt(n)
	// The handle of the next file is foreseen, and read with, where none is just being given back.
	waitFor(t, "its handle is given back", func() bool { return r.tap.Count("CLOSE") == 1 })
	_, err := r.find("none") // its answer comes behind that of the CLOSE
	wantErrno(t, err, syscall.ENOENT)
	r.costs("look-up, stat, open and read of the saved file", 1, func() {
		if got := r.readAll(r.mustFind("f").Node); got != "content" {
			t.Errorf("read %q", got)
		}
	})
}

// As databases do with their logs, and archivers at the end of a file: who cuts a file looks at it, or closes it, at once.
func TestAFileThatWasCutByItsDescriptorIsKnown(t *testing.T) {
	r := newRig(t, nil)
	r.put("f", "content")
	n := r.mustFind("f").Node
	h, _, err := r.Open(ctxOf(t), n, syscall.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	size := uint64(3)
	r.costs("ftruncate, fstat and close", 1, func() {
		if _, ttl, err := r.Setattr(ctxOf(t), n, h, SetAttr{Size: &size}); err != nil || ttl == 0 {
			t.Errorf("what ftruncate has told may be trusted for %v, %v", ttl, err)
		}
		a, _, err := r.Getattr(ctxOf(t), n, h)
		if err != nil || a.Size != size || a.Mtime < time.Now().Add(-time.Minute).Unix() {
			t.Errorf("fstat tells of %+v, %v", a, err)
		}
		if err := h.Flush(ctxOf(t)); err != nil {
			t.Fatal(err)
		}
		h.Release()
	})
	if got := r.remote("f"); got != "con" {
		t.Errorf("the server has %q", got)
	}
	r.write("f", "another content")
	if got := r.readAll(n); got != "another content" {
		t.Errorf("after a change on the server it reads %q", got)
	}
}
