package cache

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// forgetful makes the server acknowledge writes at once and store them only at fsync, as a machine does that
// crashes before its disk has them.
type forgetful struct {
	file string

	mu     sync.Mutex // guards what follows
	unsafe []write    // acknowledged and not stored
	end    int64      // of the furthest byte that was acknowledged: so long is the file for who asks before the crash
}

type write struct {
	off  int64
	data []byte
}

func (f *forgetful) install(tap *sftptest.Tap) {
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		f.mu.Lock()
		defer f.mu.Unlock()
		switch p.Name {
		case "WRITE":
			// WRITE is handle, offset, data (draft-ietf-secsh-filexfer-02 section 6.4).
			rest := p.Body[4+binary.BigEndian.Uint32(p.Body):]
			w := write{int64(binary.BigEndian.Uint64(rest)), append([]byte(nil), rest[12:]...)}
			f.unsafe = append(f.unsafe, w)
			f.end = max(f.end, w.off+int64(len(w.data)))
			return sftptest.Answer(session.StatusOK, "")
		case "fsync@openssh.com":
			disk, err := os.OpenFile(f.file, os.O_WRONLY, 0)
			if err != nil {
				return sftptest.Answer(session.StatusFailure, err.Error())
			}
			defer disk.Close()
			for _, w := range f.unsafe {
				if _, err := disk.WriteAt(w.data, w.off); err != nil {
					return sftptest.Answer(session.StatusFailure, err.Error())
				}
			}
			f.unsafe = nil
		}
		return sftptest.Pass()
	})
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		f.mu.Lock()
		defer f.mu.Unlock()
		if p.Name != "ATTRS" || p.Request.Name != "FSTAT" {
			return sftptest.Pass()
		}
		// ATTRS begins with flags and size (section 5).
		body := append([]byte(nil), p.Body...)
		size := body[4:12]
		binary.BigEndian.PutUint64(size, max(binary.BigEndian.Uint64(size), uint64(f.end)))
		return sftptest.ReplaceBody(body)
	})
}

// crash ends the server's connections, and has it forget what it has only acknowledged. Both happen at once for whoever asks: what is asked
// behind the last answer is asked again on a new connection, and must not see there how long the file was.
func (f *forgetful) crash(r *rig) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r.srv.Cut()
	f.unsafe, f.end = nil, 0
}

func TestAfterFsyncACrashOfTheServerLosesNothing(t *testing.T) {
	for _, async := range []bool{false, true} {
		name := "default"
		if async {
			name = "async"
		}
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(o *Options) { o.Async = async })
			disk := &forgetful{file: filepath.Join(r.dir, "db")}
			disk.install(r.tap)
			r.list(r.Root())
			_, h, err := r.Create(ctxOf(t), r.Root(), "db", syscall.O_RDWR, 0o644)
			if err != nil {
				t.Fatal(err)
			}
			defer h.Release()
			if _, err := h.Write(ctxOf(t), []byte("committed"), 0); err != nil {
				t.Fatal(err)
			}
			if err := h.Fsync(ctxOf(t)); err != nil {
				t.Fatal(err)
			}
			disk.crash(r)
			if got := r.remote("db"); got != "committed" {
				t.Errorf("after the crash the server has %q", got)
			}
			if got := r.readOpen(h); got != "committed" {
				t.Errorf("read %q", got)
			}
		})
	}
}

func TestAcknowledgedBytesThatACrashTookAreAnErrorOfWriting(t *testing.T) {
	r := newRig(t, nil)
	disk := &forgetful{file: filepath.Join(r.dir, "f")}
	disk.install(r.tap)
	_, h, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_RDWR, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()
	other := r.opened(r.mustFind("f").Node, syscall.O_WRONLY)
	write := func(content string, off int64) error {
		if _, err := h.Write(ctxOf(t), []byte(content), off); err != nil {
			return err
		}
		return h.Flush(ctxOf(t))
	}
	if err := write("acknowledged", 0); err != nil {
		t.Fatal(err)
	}
	disk.crash(r)
	wantErrno(t, write("more", 12), syscall.EIO)
	wantErrno(t, other.Fsync(ctxOf(t)), syscall.EIO) // of all that is open
	wantErrno(t, h.Fsync(ctxOf(t)), syscall.EIO)
	if err := h.Fsync(ctxOf(t)); err != nil {
		t.Errorf("it was told, and is again: %v", err)
	}
}

func TestFsyncReportsThatTheServerCouldNot(t *testing.T) {
	for name, times := range map[string]int32{"it says so each time": math.MaxInt32, "it says so once": 1} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			var told atomic.Int32
			r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
				if p.Name == "fsync@openssh.com" && told.Add(1) <= times {
					return sftptest.Answer(session.StatusFailure, "disk on fire")
				}
				return sftptest.Pass()
			})
			_, h, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_RDWR, 0o644)
			if err != nil {
				t.Fatal(err)
			}
			defer h.Release()
			if _, err := h.Write(ctxOf(t), []byte("x"), 0); err != nil {
				t.Fatal(err)
			}
			wantErrno(t, h.Fsync(ctxOf(t)), syscall.EIO)
		})
	}
}

func TestAnExclusiveCreationWithoutAnAnswerIsFoundAgain(t *testing.T) {
	r := newRig(t, nil)
	r.list(r.Root())
	create := func(name string) error {
		_, h, err := r.Create(ctxOf(t), r.Root(), name, syscall.O_WRONLY|syscall.O_EXCL, 0o644)
		if err == nil {
			h.Release()
		}
		return err
	}
	if err := create("first"); err != nil { // tells the server's clock
		t.Fatal(err)
	}
	r.tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Request.Name == "OPEN" {
			r.tap.OnReply(nil)
			go r.srv.Cut()
			return sftptest.Drop()
		}
		return sftptest.Pass()
	})
	if err := create("second"); err != nil {
		t.Errorf("made by us, empty and just now: %v", err)
	}
	// Somebody else's is there before us, and has something in it.
	r.tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Request.Name == "OPEN" {
			r.tap.OnReply(nil)
			r.put("third", "theirs")
			go r.srv.Cut()
			return sftptest.Drop()
		}
		return sftptest.Pass()
	})
	wantErrno(t, create("third"), syscall.EIO)
}
