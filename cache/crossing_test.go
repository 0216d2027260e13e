package cache

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
)

// A file that is open and has bytes to be saved, and one in a directory: both are asked about while they get another path.
var crossings = []struct{ what, file, from, to, fileThen string }{
	{"of the file", "f", "f", "g", "g"},
	{"of its directory", "d/f", "d", "e", "e/f"},
}

func TestAStatBesideARenameFindsTheFileByItsNewName(t *testing.T) {
	for _, tc := range crossings {
		t.Run(tc.what, func(t *testing.T) {
			r := newRig(t, nil)
			r.put(tc.file, "content")
			n := r.mustFind(tc.file).Node
			r.distrustNode(n)
			r.holdReply("posix-rename@openssh.com")
			renamed, seen := make(chan error, 1), make(chan error, 1)
			go func() { renamed <- r.Rename(ctxOf(t), r.Root(), tc.from, r.Root(), tc.to, false) }()
			r.waitHeld() // the server has done it, and nobody here knows
			go func() {
				_, _, err := r.Getattr(ctxOf(t), n, nil)
				seen <- err
			}()
			// Whoever does not wait for the rename has the wrong answer by then.
			select {
			case err := <-seen:
				seen <- err
			case <-time.After(100 * time.Millisecond):
			}
			r.tap.Release()
			if err := <-renamed; err != nil {
				t.Fatal(err)
			}
			if err := <-seen; err != nil {
				t.Errorf("stat: %v", err)
			}
			f, err := r.find(tc.fileThen)
			if err != nil || f.Node != n {
				t.Errorf("under the new name: %+v, %v; the file was inode %d", f, err, n.ID())
			}
		})
	}
}

func TestAStatThatARenameOvertakesFindsTheFile(t *testing.T) {
	for _, tc := range crossings {
		t.Run(tc.what, func(t *testing.T) {
			r := newRig(t, nil)
			r.put(tc.file, "content")
			n := r.mustFind(tc.file).Node
			r.distrustNode(n)
			r.holdRequest("LSTAT")
			seen := make(chan error, 1)
			go func() {
				_, _, err := r.Getattr(ctxOf(t), n, nil)
				seen <- err
			}()
			r.waitHeld()
			if err := r.Rename(ctxOf(t), r.Root(), tc.from, r.Root(), tc.to, false); err != nil {
				t.Fatal(err)
			}
			r.tap.Release()
			if err := <-seen; err != nil {
				t.Errorf("stat: %v", err)
			}
			if f, err := r.find(tc.fileThen); err != nil || f.Node != n {
				t.Errorf("under the new name: %+v, %v; the file was inode %d", f, err, n.ID())
			}
		})
	}
}

func TestALookUpThatARenameOfTheDirectoryOvertakesFindsTheName(t *testing.T) {
	r := newRig(t, nil)
	r.put("d/f", "content")
	d := r.mustFind("d").Node
	r.holdRequest("LSTAT")
	seen := make(chan error, 1)
	go func() {
		_, err := r.Lookup(ctxOf(t), d, "f")
		seen <- err
	}()
	r.waitHeld()
	if err := r.Rename(ctxOf(t), r.Root(), "d", r.Root(), "e", false); err != nil {
		t.Fatal(err)
	}
	r.tap.Release()
	if err := <-seen; err != nil {
		t.Errorf("look-up: %v", err)
	}
	r.mustFind("e/f")
}

// interrupt has do interrupted when the server has done what the request says and before its answer is here.
func (r *rig) interrupt(request string, do func(ctx context.Context) error) {
	r.t.Helper()
	r.holdReply(request)
	ctx, cancel := context.WithCancel(ctxOf(r.t))
	defer cancel()
	go func() {
		r.tap.WaitHeld(1, longEnough)
		cancel()
	}()
	wantErrno(r.t, do(ctx), syscall.EINTR)
	go r.tap.Release() // the answer comes at about the time of the next question
}

func TestAnInterruptedRenameIsSeenToItsEnd(t *testing.T) {
	r := newRig(t, nil)
	r.put("a", "content")
	r.put("b", "replaced")
	r.list(r.Root())
	n := r.mustFind("a").Node
	r.mustFind("b")
	h, _, err := r.Open(ctxOf(t), n, syscall.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()
	r.interrupt("posix-rename@openssh.com", func(ctx context.Context) error {
		return r.Rename(ctx, r.Root(), "a", r.Root(), "b", false)
	})
	if f, err := r.find("b"); err != nil || f.Node != n {
		t.Errorf("the new name: %+v, %v", f, err)
	}
	if _, err := r.find("a"); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("the old name: %v", err)
	}
	// The open file is found again where it is now.
	r.srv.Cut()
	if _, err := h.Write(ctxOf(t), []byte("CONT"), 0); err != nil {
		t.Fatal(err)
	}
	if err := h.Fsync(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	if got := r.remote("b"); got != "CONTent" {
		t.Errorf("the server has %q", got)
	}
}

func TestAnInterruptedRemovalFreesTheName(t *testing.T) {
	r := newRig(t, nil)
	r.put("a", "content")
	r.list(r.Root())
	old := r.mustFind("a").Node
	r.interrupt("REMOVE", func(ctx context.Context) error { return r.Unlink(ctx, r.Root(), "a") })
	f, h, err := r.Create(ctxOf(t), r.Root(), "a", syscall.O_WRONLY|syscall.O_EXCL, 0o600)
	if err != nil {
		t.Fatalf("the name is free on the server: %v", err)
	}
	h.Release()
	if again := r.mustFind("a"); again.Node != f.Node || again.Node == old {
		t.Errorf("inode %d was made, %d has the name", f.Node.ID(), again.Node.ID())
	}
}

func TestWhatWasMadeByAnInterruptedProgramShows(t *testing.T) {
	for _, tc := range []struct {
		request string
		do      func(r *rig, ctx context.Context) error
	}{
		{"MKDIR", func(r *rig, ctx context.Context) error { _, err := r.Mkdir(ctx, r.Root(), "new", 0o755); return err }},
		{"SYMLINK", func(r *rig, ctx context.Context) error { _, err := r.Symlink(ctx, r.Root(), "new", "x"); return err }},
		{"OPEN", func(r *rig, ctx context.Context) error {
			_, _, err := r.Create(ctx, r.Root(), "new", syscall.O_WRONLY|syscall.O_EXCL, 0o644)
			return err
		}},
	} {
		t.Run(tc.request, func(t *testing.T) {
			r := newRig(t, nil)
			r.list(r.Root())
			r.interrupt(tc.request, func(ctx context.Context) error { return tc.do(r, ctx) })
			if _, err := r.find("new"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAnInterruptedChangeOfAttributesShows(t *testing.T) {
	r := newRig(t, nil)
	r.put("f", "content")
	n := r.mustFind("f").Node
	mode := uint32(0o600)
	r.interrupt("SETSTAT", func(ctx context.Context) error {
		_, _, err := r.Setattr(ctx, n, nil, SetAttr{Mode: &mode})
		return err
	})
	if a, _, err := r.Getattr(ctxOf(t), n, nil); err != nil || a.Mode&0o777 != mode {
		t.Errorf("mode %o, %v", a.Mode&0o777, err)
	}
}

// A program that was interrupted while the line was down must not find its change done later.
func TestAChangeGivenUpBeforeItWasSentIsNotDone(t *testing.T) {
	r := newRig(t, nil)
	r.put("a", "content")
	r.mustFind("a")
	r.srv.Refuse(errors.New("no route"))
	r.srv.Cut()
	ctx, cancel := context.WithTimeout(ctxOf(t), 50*time.Millisecond)
	defer cancel()
	if err := r.Rename(ctx, r.Root(), "a", r.Root(), "b", false); err == nil {
		t.Fatal("renamed without a line")
	}
	r.srv.Refuse(nil)
	r.conn.Kick()
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	r.mustFind("a")
	if got := r.remote("a"); got != "content" {
		t.Errorf("%q", got)
	}
}

// What the server says of a file that was there before our bytes came to it is not what it is afterwards.
func TestCreatingAFileThatIsWrittenKeepsItsSize(t *testing.T) {
	for name, flags := range map[string]uint32{"opened as it is": syscall.O_RDWR, "truncated": syscall.O_RDWR | syscall.O_TRUNC} {
		t.Run(name, func(t *testing.T) {
			looks := 2
			if flags&syscall.O_TRUNC != 0 {
				looks = 1 // whether it is the file that is open, before it is opened
			}
			r := newRig(t, nil)
			r.put("f", "short")
			n := r.mustFind("f").Node
			h := r.opened(n, syscall.O_RDWR)
			content := strings.Repeat("long", 1000)
			if _, err := h.Write(ctxOf(t), []byte(content), 0); err != nil {
				t.Fatal(err)
			}
			// The look of the creation comes before the bytes, and its answer behind theirs.
			r.tap.OnReply(func(p sftptest.Packet) sftptest.Action {
				if p.Request != nil && (p.Request.Name == "OPEN" || p.Request.Name == "LSTAT") {
					return sftptest.Hold()
				}
				return sftptest.Pass()
			})
			done := make(chan *Handle, 1)
			go func() {
				_, h, err := r.Create(ctxOf(t), r.Root(), "f", flags, 0o644)
				if err != nil {
					t.Error(err)
				}
				done <- h
			}()
			if !r.tap.WaitHeld(looks, longEnough) {
				t.Fatal("nothing was asked for")
			}
			if err := h.Flush(ctxOf(t)); err != nil {
				t.Fatal(err)
			}
			r.tap.OnReply(nil)
			r.tap.Release()
			created := <-done
			if created == nil {
				return
			}
			defer created.Release()
			want := content
			if flags&syscall.O_TRUNC != 0 {
				want = ""
			}
			if got := r.readOpen(created); got != want {
				t.Errorf("%d bytes are read of %d", len(got), len(want))
			}
			if got := r.remote("f"); got != want {
				t.Errorf("the server has %d bytes of %d", len(got), len(want))
			}
		})
	}
}
