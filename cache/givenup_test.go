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

	"sshmount/sftpconn"
)

// giveUp has a program killed when what it does has sent the request that is held: it is answered at once.
func (r *rig) giveUp(do func(context.Context) error) {
	r.t.Helper()
	ctx, kill := context.WithCancel(ctxOf(r.t))
	defer kill()
	done := make(chan error, 1)
	go func() { done <- do(ctx) }()
	if !r.tap.WaitHeld(1, longEnough) {
		r.t.Fatal("nothing was asked for")
	}
	kill()
	select {
	case err := <-done:
		wantErrno(r.t, err, syscall.EINTR)
	case <-time.After(longEnough):
		r.t.Fatal("the program is not answered")
	}
}

// comesBehind does what must wait for the request that is held until release.
func (r *rig) comesBehind(release func(), do func() error) {
	r.t.Helper()
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case <-done:
		release()
		r.t.Fatal("it does not wait for what is under way")
	case <-time.After(200 * time.Millisecond):
	}
	release()
	if err := <-done; err != nil {
		r.t.Fatal(err)
	}
}

// A program that was killed has asked for a truncation, which may be on its way for long.
func TestATruncationThatIsGivenUpComesBeforeWhatFollows(t *testing.T) {
	size := uint64(0)
	for name, tc := range map[string]struct {
		request string
		do      func(ctx context.Context, r *rig, n *Node) error
	}{
		"truncate": {"SETSTAT", func(ctx context.Context, r *rig, n *Node) error {
			_, _, err := r.Setattr(ctx, n, nil, SetAttr{Size: &size})
			return err
		}},
		"O_TRUNC": {"OPEN", func(ctx context.Context, r *rig, n *Node) error {
			_, _, err := r.Open(ctx, n, syscall.O_WRONLY|syscall.O_TRUNC)
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.put("log", "a line of before\n")
			n := r.mustFind("log").Node
			h, _, err := r.Open(ctxOf(t), n, syscall.O_WRONLY|syscall.O_APPEND)
			if err != nil {
				t.Fatal(err)
			}
			defer h.Release()
			r.holdRequest(tc.request)
			release := func() {
				r.tap.OnRequest(nil)
				r.tap.Release()
			}
			r.giveUp(func(ctx context.Context) error { return tc.do(ctx, r, n) })
			r.comesBehind(release, func() error {
				_, err := h.Append(ctxOf(t), []byte("a line of after\n"), 17)
				return err
			})
			if err := h.Flush(ctxOf(t)); err != nil {
				t.Fatal(err)
			}
			if got := r.remote("log"); got != "a line of after\n" {
				t.Errorf("the server has %q", got)
			}
			if a := r.mustFind("log").Attr; a.Size != 16 {
				t.Errorf("its size is shown as %d", a.Size)
			}
		})
	}
}

func TestAppendingBehindATruncationOfWhichNobodyKnows(t *testing.T) {
	r := newRigOver(t, sftpconn.Options{ReconnectTimeout: 300 * time.Millisecond}, nil)
	r.put("log", "a line of before\n")
	n := r.mustFind("log").Node
	h, _, err := r.Open(ctxOf(t), n, syscall.O_WRONLY|syscall.O_APPEND)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()
	r.holdReply("SETSTAT")
	done := make(chan error, 1)
	go func() {
		size := uint64(0)
		_, _, err := r.Setattr(ctxOf(t), n, nil, SetAttr{Size: &size})
		done <- err
	}()
	if !r.tap.WaitHeld(1, longEnough) {
		t.Fatal("nothing was asked for")
	}
	r.srv.Refuse(errors.New("the host is down"))
	r.srv.Cut()
	wantErrno(t, <-done, syscall.EIO)
	r.tap.OnReply(nil)
	r.srv.Refuse(nil)
	r.conn.Kick()
	if _, err := r.conn.Lstat(sftpconn.Patient(ctxOf(t)), r.dir); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Append(ctxOf(t), []byte("a line of after\n"), 17); err != nil {
		t.Fatal(err)
	}
	if err := h.Flush(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	if got := r.remote("log"); got != "a line of after\n" {
		t.Errorf("the server has %q", got)
	}
}

// contentNotices counts the notices of an inode's content.
type contentNotices struct {
	id   uint64
	came chan struct{} // capacity for more than come
}

func (c *contentNotices) NameChanged(uint64, string) {}
func (c *contentNotices) ContentChanged(id uint64) {
	if id == c.id {
		c.came <- struct{}{}
	}
}

// The kernel has pages of before, and was told that nothing came of it.
func TestACopyThatIsGivenUpAndDoneHasTheKernelForgetItsPages(t *testing.T) {
	r, src, dst := copyRig(t, strings.Repeat("s", 100_000))
	seen := &contentNotices{id: dst.n.ID(), came: make(chan struct{}, 100)}
	r.o.Notify = seen
	release := r.holdCopy(true)
	r.giveUp(func(ctx context.Context) error {
		_, err := r.Copy(ctx, src, 0, dst, 0, 90_000)
		return err
	})
	for len(seen.came) > 0 {
		<-seen.came
	}
	release()
	select {
	case <-seen.came:
	case <-time.After(longEnough):
		t.Error("when the copy is done the kernel goes on with the pages that it has")
	}
}

func TestATruncationThatIsRefusedLeavesOldPagesOld(t *testing.T) {
	r := newRig(t, nil)
	r.put("f", "content")
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(r.dir, "f"), old, old); err != nil {
		t.Fatal(err)
	}
	n := r.mustFind("f").Node
	r.opened(n, syscall.O_RDONLY).Release()
	r.mu.Lock()
	n.file.pages.old = true // as by who has read on in what the file was before
	r.mu.Unlock()
	r.refuse("OPEN")
	_, _, err := r.Open(ctxOf(t), n, syscall.O_WRONLY|syscall.O_TRUNC)
	wantErrno(t, err, syscall.EACCES)
	r.tap.OnRequest(nil)
	h, keep, err := r.Open(ctxOf(t), n, syscall.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()
	if keep {
		t.Error("the kernel keeps pages of an older content")
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
