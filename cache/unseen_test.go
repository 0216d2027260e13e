package cache

import (
	"bytes"
	"sync/atomic"
	"syscall"
	"testing"

	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// Servers that keep whole objects show a new file when it is closed.
func TestANewFileIsThereBeforeAServerOfObjectsShowsIt(t *testing.T) {
	for name, change := range map[string]func(*Options){"default": nil, "async": async} {
		t.Run(name, func(t *testing.T) { testUnseen(t, change) })
	}
}

func testUnseen(t *testing.T, change func(*Options)) {
	r := newRigOver(t, sftpconn.Options{}, change, sftptest.Args("-P", "fsync"))
	r.list(r.Root())
	var released, closed atomic.Bool
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "CLOSE" && released.Load() {
			closed.Store(true)
		}
		return sftptest.Pass()
	})
	r.tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "ATTRS" && !closed.Load() && (p.Request.Name == "FSTAT" || bytes.Contains(p.Request.Body, []byte("/new"))) {
			return sftptest.Answer(session.StatusNoSuchFile, "no such key")
		}
		return sftptest.Pass()
	})
	defer r.tap.OnReply(nil)
	defer r.tap.OnRequest(nil)
	f, h, err := r.Create(ctxOf(t), r.Root(), "new", syscall.O_WRONLY, 0o640)
	if err != nil {
		t.Fatal(err)
	}
	if mode := f.Attr.Mode; mode != syscall.S_IFREG|0o640 {
		t.Errorf("its mode is %o", mode)
	}
	if _, err := h.Write(ctxOf(t), []byte("content"), 0); err != nil {
		t.Fatal(err)
	}
	if err := h.Fsync(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"open", "closed"} {
		if a, _, err := r.Getattr(ctxOf(t), f.Node, nil); err != nil || a.Size != 7 {
			t.Errorf("%s: it has %d bytes, %v", when, a.Size, err)
		}
		if found, err := r.find("new"); err != nil || found.Node != f.Node || found.Attr.Size != 7 {
			t.Errorf("%s: by its name it is %v, %v", when, found.Attr, err)
		}
		if when == "open" {
			if err := h.Flush(ctxOf(t)); err != nil {
				t.Fatal(err)
			}
			released.Store(true)
			h.Release()
		}
	}
	if got := r.readAll(f.Node); got != "content" {
		t.Errorf("read %q", got)
	}
}
