package cache

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
)

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

func TestAnInterruptedReadlinkHoldsNoNodes(t *testing.T) {
	r := newRig(t, async)
	for _, name := range []string{"a", "b", "c"} {
		if err := os.Symlink("target", filepath.Join(r.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	r.list(r.Root())
	a, b, c := r.mustFind("a").Node, r.mustFind("b").Node, r.mustFind("c").Node
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if strings.Contains(strings.ToLower(p.Name), "setstat") {
			return sftptest.Hold()
		}
		return sftptest.Pass()
	})
	when := time.Unix(1_000_000_000, 0)
	if _, _, err := r.Setattr(ctxOf(t), a, nil, SetAttr{Atime: &when, Mtime: &when}); err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	before := b.pins + c.pins
	r.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := r.Readlink(ctx, a); err == nil {
		t.Error("a link was read although its times are still being set and nobody waits")
	}
	r.mu.Lock()
	after := b.pins + c.pins
	r.mu.Unlock()
	if after != before {
		t.Errorf("its neighbours are held %d times, %d before", after, before)
	}
	r.tap.OnRequest(nil)
	r.tap.Release()
}

// Who is interrupted while a file is made leaves no handle open on the server.
func TestAnInterruptedCreationLeavesNothingOpen(t *testing.T) {
	r := newRig(t, nil)
	r.list(r.Root())
	r.interrupt("OPEN", func(ctx context.Context) error {
		_, _, err := r.Create(ctx, r.Root(), "new", syscall.O_WRONLY|syscall.O_EXCL, 0o644)
		return err
	})
	r.mustFind("new") // waits for the creation
	if got := r.Status().OpenFiles; got != 0 {
		t.Errorf("%d files are open here", got)
	}
	for late := time.Now().Add(longEnough); r.tap.Count("CLOSE") < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("of the listing and the file not both were closed on the server: %v", r.tap.Log())
		}
	}
}
