package cache

import (
	"encoding/binary"
	"errors"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// Editors save by a rename right after the close, and the kernel tells of the last descriptor only later. A server that keeps whole objects
// has nothing to rename before the CLOSE.
func TestASavedFileIsRenamedWhenItIsClosedOverThere(t *testing.T) {
	for name, change := range map[string]func(*Options){"default": nil, "async": async} {
		for _, synced := range []bool{false, true} {
			t.Run(name, func(t *testing.T) { testRenamedWhenClosed(t, change, synced) })
		}
	}
}

func testRenamedWhenClosed(t *testing.T, change func(*Options), synced bool) {
	r := newRigOver(t, sftpconn.Options{}, change, sftptest.Args("-P", "fsync"))
	r.list(r.Root())
	_, h, err := r.Create(ctxOf(t), r.Root(), "new", syscall.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Write(ctxOf(t), []byte("content"), 0); err != nil {
		t.Fatal(err)
	}
	if synced {
		if err := h.Fsync(ctxOf(t)); err != nil {
			t.Fatal(err)
		}
	}
	var closed, overtaken, late atomic.Bool
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		switch {
		case p.Name == "CLOSE":
			return sftptest.Delay(30 * time.Millisecond)
		case p.Name == "posix-rename@openssh.com" && !closed.Load():
			overtaken.Store(true)
		}
		return sftptest.Pass()
	})
	r.tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Request.Name == "CLOSE" {
			closed.Store(true)
		}
		return sftptest.Pass()
	})
	if err := h.Flush(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	if r.o.Async {
		h.Release()
	} else {
		flushed := time.Now()
		time.AfterFunc(5*time.Millisecond, func() {
			late.Store(time.Since(flushed) > 40*time.Millisecond) // then it may have been waited for in vain
			h.Release()
		})
	}
	if err := r.Rename(ctxOf(t), r.Root(), "new", r.Root(), "saved", false); err != nil {
		t.Fatal(err)
	}
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	if overtaken.Load() && !late.Load() {
		t.Error("it was renamed before it was closed")
	}
	if !closed.Load() && !late.Load() {
		t.Error("it was not closed")
	}
	r.tap.OnRequest(nil)
	r.tap.OnReply(nil)
}

// A server may find out at the CLOSE that it can't keep what was written: a file system of its own that is full, an object store that refuses.
func TestSyncTellsOfAFileThatTheServerRefusedToClose(t *testing.T) {
	r := newRig(t, nil)
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "CLOSE" {
			return sftptest.Answer(session.StatusFailure, "quota exceeded")
		}
		return sftptest.Pass()
	})
	defer r.tap.OnRequest(nil)
	r.create(r.Root(), "f", "content")
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		err := r.Sync(ctxOf(t))
		if errors.Is(err, sftpconn.ErrLost) {
			return
		}
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("sync tells: %v", err)
		}
	}
}

// SFTPGo cuts a file through whatever it has open of it, and fails where that is open for reading alone.
func TestWhatIsKeptOpenForReadingIsClosedBeforeTheFileIsCut(t *testing.T) {
	r := newRigOver(t, sftpconn.Options{}, nil, sftptest.Args("-P", "fsync"))
	r.put("f", "content")
	n := r.mustFind("f").Node
	r.readAll(n)
	w, _, err := r.Open(ctxOf(t), n, syscall.O_WRONLY)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Release()
	for name, h := range map[string]*Handle{"by the name": nil, "by a handle": w} {
		t.Run(name, func(t *testing.T) {
			open := true
			r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
				switch p.Name {
				case "CLOSE":
					return sftptest.Delay(20 * time.Millisecond)
				case "SETSTAT", "FSETSTAT":
					if open {
						t.Error("it was cut first")
					}
				}
				return sftptest.Pass()
			})
			r.tap.OnReply(func(p sftptest.Packet) sftptest.Action {
				open = open && p.Request.Name != "CLOSE"
				return sftptest.Pass()
			})
			defer r.tap.OnReply(nil)
			defer r.tap.OnRequest(nil)
			r.readAll(n)
			size := uint64(3)
			if _, _, err := r.Setattr(ctxOf(t), n, h, SetAttr{Size: &size}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// A server that keeps whole objects tells of what is written when it has closed the file.
func TestAFileOpenForWritingIsNotAsShortAsAServerWithoutOrderTells(t *testing.T) {
	r := newRigOver(t, sftpconn.Options{}, nil, sftptest.Args("-P", "fsync"))
	f, h, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	r.tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "ATTRS" {
			before := slices.Clone(p.Body)
			binary.BigEndian.PutUint64(before[4:], 0) // the size
			return sftptest.ReplaceBody(before)
		}
		return sftptest.Pass()
	})
	defer r.tap.OnReply(nil)
	if _, err := h.Write(ctxOf(t), []byte("content"), 0); err != nil {
		t.Fatal(err)
	}
	if err := h.Flush(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	if a, _, err := r.Getattr(ctxOf(t), f.Node, nil); err != nil || a.Size != 7 {
		t.Errorf("it has %d bytes, %v", a.Size, err)
	}
	if got := r.readAll(f.Node); got != "content" {
		t.Errorf("read %q", got)
	}
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "CLOSE" {
			r.tap.OnReply(nil)
		}
		return sftptest.Pass()
	})
	defer r.tap.OnRequest(nil)
	h.Release()
	if a, _, err := r.Getattr(ctxOf(t), f.Node, nil); err != nil || a.Size != 7 {
		t.Errorf("closed, it has %d bytes, %v", a.Size, err)
	}
}
