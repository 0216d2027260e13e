package cache

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What the server has made of a written file is known when it is closed.

// unsaved makes a file, and writes a content that is not waited for.
func (r *rig) unsaved(name string) (Found, *Handle) {
	r.t.Helper()
	f, h, err := r.Create(ctxOf(r.t), r.Root(), name, syscall.O_RDWR, 0o644)
	if err != nil {
		r.t.Fatal(err)
	}
	r.fill(h, "content")
	return f, h
}

func TestAStatOfAWrittenFileCostsNothing(t *testing.T) {
	made := func(r *rig) *Handle {
		r.t.Helper()
		_, h := r.unsaved("new")
		return h
	}
	open := func(r *rig, flags uint32) *Handle {
		r.t.Helper()
		h, _, err := r.Open(ctxOf(r.t), r.mustFind("old").Node, flags)
		if err != nil {
			r.t.Fatal(err)
		}
		r.fill(h, "content")
		return h
	}
	for name, row := range map[string]struct {
		flights int // of all, the stat included
		do      func(*rig) *Handle
	}{
		"made": {2, func(r *rig) *Handle { // create; write
			h := made(r)
			r.finish(h)
			return h
		}},
		"made, of several requests": {2, func(r *rig) *Handle {
			h := made(r)
			r.fill(h, strings.Repeat("content", 60_000))
			r.finish(h)
			return h
		}},
		"written over": {2, func(r *rig) *Handle { // open; write
			h := open(r, syscall.O_WRONLY|syscall.O_TRUNC)
			r.finish(h)
			return h
		}},
		"written in its midst": {2, func(r *rig) *Handle {
			h := open(r, syscall.O_RDWR)
			r.finish(h)
			return h
		}},
		"stored": {2, func(r *rig) *Handle { // create; write and fsync
			h := made(r)
			if err := h.Fsync(ctxOf(r.t)); err != nil {
				r.t.Fatal(err)
			}
			r.finish(h)
			return h
		}},
		"written by a child, which closes it first": {2, func(r *rig) *Handle {
			h := made(r)
			if err := h.Flush(ctxOf(r.t)); err != nil {
				r.t.Fatal(err)
			}
			r.finish(h)
			return h
		}},
		"saved by rename": {3, func(r *rig) *Handle { // create; write; rename
			h := made(r)
			r.finish(h)
			if err := r.Rename(ctxOf(r.t), r.Root(), "new", r.Root(), "old", false); err != nil {
				r.t.Fatal(err)
			}
			return h
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.put("old", strings.Repeat("o", 1000))
			r.mustFind("old")
			_, _ = r.find("new")
			r.costs(name, row.flights, func() { r.wantServers(row.do(r).n) })
			if got := r.tap.Count("FSTAT"); got != 1 {
				t.Errorf("the server was asked for the attributes %d times", got)
			}
		})
	}
}

// wantServers compares the attributes shown of a file with those that it has on the server.
func (r *rig) wantServers(n *Node) {
	r.t.Helper()
	a, _, err := r.Getattr(ctxOf(r.t), n, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	info, err := os.Stat(r.pathOf(n))
	if err != nil {
		r.t.Fatal(err)
	}
	if a.Size != uint64(info.Size()) || a.Mtime != info.ModTime().Unix() || a.Mode&0o7777 != uint32(info.Mode().Perm()) {
		r.t.Errorf("shown are %d bytes of %v, mode %o; the server has %d of %v, mode %o", a.Size, time.Unix(a.Mtime, 0), a.Mode,
			info.Size(), info.ModTime(), info.Mode())
	}
}

// As with the output of a shell script: each command inherits the open file, writes to it, and closes it.
func TestAFileThatIsFlushedAgainAndAgainIsAskedAboutTwiceAtMost(t *testing.T) {
	r := newRig(t, nil)
	f, h, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	r.tap.Reset()
	for i := range 10 {
		if _, err := h.Write(ctxOf(t), []byte("line\n"), int64(5*i)); err != nil {
			t.Fatal(err)
		}
		if err := h.Flush(ctxOf(t)); err != nil {
			t.Fatal(err)
		}
	}
	h.Release()
	r.learnt(f.Node)
	if got := r.tap.Count("FSTAT"); got > 2 {
		t.Errorf("the server was asked for the attributes %d times", got)
	}
	r.wantServers(f.Node)
}

// answeredLate has h flushed while the server tells of what the file has become, and do done before that is known here. What the
// server tells is an mtime that a write changes. It gives what came of the flush.
func (r *rig) answeredLate(h *Handle, do func()) error {
	r.t.Helper()
	r.onReplyBehind(nil)
	r.holdRequest("FSTAT")
	flushed := make(chan error, 1)
	go func() { flushed <- h.Flush(ctxOf(r.t)) }()
	r.waitHeld()
	waitFor(r.t, "the bytes are acknowledged", func() bool {
		_, dirty := h.n.file.data.Size()
		return !dirty
	})
	old := time.Unix(1_000_000_000, 0)
	if err := os.Chtimes(r.pathOf(h.n), old, old); err != nil {
		r.t.Fatal(err)
	}
	r.holdReply("FSTAT")
	r.tap.Release()
	r.waitHeld()
	do()
	r.tap.Release()
	return <-flushed
}

func TestWhatCrossesWithTheAnswerBehindAWriteIsNotTakenBack(t *testing.T) {
	size, mode, when := uint64(3), uint32(0o600), time.Unix(1_200_000_000, 0)
	for name, do := range map[string]func(r *rig, h *Handle) error{
		"nothing": func(*rig, *Handle) error { return nil },
		"a write": func(r *rig, h *Handle) error {
			_, err := h.Write(ctxOf(r.t), []byte("CONTENT AND MORE"), 0)
			return err
		},
		"a write by another handle": func(r *rig, h *Handle) error {
			other := r.opened(h.n, syscall.O_WRONLY)
			if _, err := other.Write(ctxOf(r.t), []byte("CONTENT AND MORE"), 0); err != nil {
				return err
			}
			return other.Flush(ctxOf(r.t))
		},
		"a truncation": func(r *rig, h *Handle) error {
			_, _, err := r.Setattr(ctxOf(r.t), h.n, h, SetAttr{Size: &size})
			return err
		},
		"times": func(r *rig, h *Handle) error {
			_, _, err := r.Setattr(ctxOf(r.t), h.n, h, SetAttr{Atime: &when, Mtime: &when})
			return err
		},
		"a mode": func(r *rig, h *Handle) error {
			_, _, err := r.Setattr(ctxOf(r.t), h.n, h, SetAttr{Mode: &mode})
			return err
		},
		"a rename": func(r *rig, _ *Handle) error {
			return r.Rename(ctxOf(r.t), r.Root(), "f", r.Root(), "g", false)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			f, h := r.unsaved("f")
			if err := r.answeredLate(h, func() {
				if err := do(r, h); err != nil {
					t.Error(err)
				}
			}); err != nil {
				t.Fatal(err)
			}
			r.finish(h)
			r.wantServers(f.Node)
			if got, want := r.readAll(f.Node), r.remote(f.Node.name); got != want {
				t.Errorf("read %q, the server has %q", got, want)
			}
		})
	}
}

// What one writer is told another may have changed already: the last who closes the file asks.
func TestOneWriterOfSeveralDoesNotAsk(t *testing.T) {
	r := newRig(t, nil)
	f, h, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := r.Open(ctxOf(t), f.Node, syscall.O_WRONLY)
	if err != nil {
		t.Fatal(err)
	}
	r.tap.Reset()
	for i, h := range []*Handle{h, other} {
		if _, err := h.Write(ctxOf(t), []byte("content"), int64(i)); err != nil {
			t.Fatal(err)
		}
		r.finish(h)
		if got := r.tap.Count("FSTAT"); i == 0 && got > 0 {
			t.Errorf("the server was asked for the attributes %d times", got)
		}
	}
	r.learnt(f.Node)
	r.wantServers(f.Node)
}

// The server may give the bytes another time than our clock's, which a stat behind a close has to show.
func TestTheTimeOfBytesUnderWayIsNotKept(t *testing.T) {
	r := newRig(t, nil)
	f, h := r.unsaved("f")
	if _, ttl, err := r.Getattr(ctxOf(t), f.Node, nil); err != nil || ttl != 0 {
		t.Errorf("the attributes of a file that is being written are trusted for %v (%v)", ttl, err)
	}
	found := r.mustFind("f")
	if found.AttrTTL != 0 {
		t.Errorf("found, they are trusted for %v", found.AttrTTL)
	}
	if found.TTL == 0 {
		t.Error("its name is not trusted")
	}
	r.finish(h)
	if _, ttl, err := r.Getattr(ctxOf(t), f.Node, nil); err != nil || ttl == 0 {
		t.Errorf("those of one that is written are trusted for %v (%v)", ttl, err)
	}
}
