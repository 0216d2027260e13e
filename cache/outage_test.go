package cache

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

func TestChangesOfAnUnsavedFileWaitForTheServerOnlySoLong(t *testing.T) {
	r := newRigOver(t, sftpconn.Options{ReconnectTimeout: 300 * time.Millisecond}, nil)
	f, h, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_RDWR, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()
	r.srv.Refuse(errors.New("the host is down"))
	r.srv.Cut()
	if _, err := h.Write(ctxOf(t), []byte("content"), 0); err != nil {
		t.Fatal(err)
	}
	mode, size, when := uint32(0o600), uint64(0), time.Unix(1_000_000_000, 0)
	for _, s := range []SetAttr{
		{Mode: &mode, Atime: &when, Mtime: &when}, // cp -p, tar
		{Size: &size},
	} {
		_, _, err := r.Setattr(ctxOf(t), f.Node, nil, s)
		wantErrno(t, err, syscall.EIO)
	}
	if _, _, err = r.Open(ctxOf(t), f.Node, syscall.O_WRONLY|syscall.O_TRUNC); err == nil {
		t.Error("opened without a server")
	} else {
		wantErrno(t, err, syscall.EIO)
	}
	r.srv.Refuse(nil)
	r.conn.Kick()
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	if got := r.remote("f"); got != "content" {
		t.Errorf("afterwards the server has %q", got)
	}
}

func TestWaitingForPendingChangesIsBoundedToo(t *testing.T) {
	r := newRigOver(t, sftpconn.Options{ReconnectTimeout: 300 * time.Millisecond}, async)
	r.list(r.Root())
	r.srv.Refuse(errors.New("the host is down"))
	r.srv.Cut()
	f, h, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_RDWR, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()
	wantErrno(t, h.Fsync(ctxOf(t)), syscall.EIO)
	wantErrno(t, r.Fsyncdir(ctxOf(t), r.Root()), syscall.EIO)
	r.mu.Lock()
	f.Node.expire()
	r.mu.Unlock()
	_, _, err = r.Getattr(ctxOf(t), f.Node, nil)
	wantErrno(t, err, syscall.EIO)
	_, _, err = r.Open(ctxOf(t), f.Node, syscall.O_RDONLY)
	wantErrno(t, err, syscall.EIO)
	r.srv.Refuse(nil)
	r.conn.Kick()
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
}

// What nobody waits for is asked again for as long as the line is down, and a program that finds it on its way must not wait as long.
func TestProgramsWaitForWhatIsOnItsWayOnlySoLong(t *testing.T) {
	open := func(r *rig, n *Node) error {
		h, _, err := r.Open(ctxOf(r.t), n, syscall.O_RDONLY)
		if err == nil {
			h.Release()
		}
		return err
	}
	for what, tc := range map[string]struct {
		options func(*Options)
		begin   func(r *rig, n *Node)
		do      func(r *rig, n *Node) error
		want    syscall.Errno
	}{
		"an opening of what is fetched ahead": {nil, func(r *rig, n *Node) {
			r.holdRequest("OPEN")
			r.mu.Lock()
			r.fetchFile(n, 7, new(int))
			r.mu.Unlock()
			r.waitHeld()
		}, open, syscall.EIO},
		"an opening that has guesses give way": {nil, func(r *rig, n *Node) {
			r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
				switch p.Name {
				case "OPENDIR":
					return sftptest.Hold()
				case "OPEN":
					return sftptest.Answer(session.StatusFailure, "no handles left")
				}
				return sftptest.Pass()
			})
			r.mu.Lock()
			r.fetchAhead(n.parent, nil)
			r.mu.Unlock()
			r.waitHeld()
		}, open, syscall.EIO},
		// What is removed is opened before, where its reader has not had to yet: by the name that it has on the server.
		"a removal of what is being renamed": {async, func(r *rig, n *Node) {
			r.list(n.parent)
			r.mu.Lock()
			r.fetchFile(n, 7, new(int))
			fetched := n.file.ahead.done
			r.mu.Unlock()
			<-fetched
			r.opened(n, syscall.O_RDONLY)
			r.holdReply("posix-rename@openssh.com")
			if err := r.Rename(ctxOf(r.t), n.parent, "f", n.parent, "g", false); err != nil {
				r.t.Fatal(err)
			}
			r.waitHeld()
		}, func(r *rig, n *Node) error { return r.Unlink(ctxOf(r.t), n.parent, "g") }, 0},
		"a stat of what is still to be made": {async, func(r *rig, n *Node) {
			r.list(n.parent)
			r.holdRequest("OPEN")
		}, func(r *rig, n *Node) error {
			f, h, err := r.Create(ctxOf(r.t), n.parent, "new", syscall.O_RDWR, 0o644)
			if err != nil {
				return err
			}
			defer h.Release()
			if err := r.Unlink(ctxOf(r.t), n.parent, "new"); err != nil {
				return err
			}
			r.distrustNode(f.Node)
			_, _, err = r.Getattr(ctxOf(r.t), f.Node, h)
			return err
		}, syscall.EIO},
	} {
		t.Run(what, func(t *testing.T) {
			r := newRigOver(t, sftpconn.Options{ReconnectTimeout: 300 * time.Millisecond}, tc.options)
			r.put("d/f", "content")
			n := r.mustFind("d/f").Node
			tc.begin(r, n)
			answered := make(chan error, 1)
			go func() { answered <- tc.do(r, n) }()
			select {
			case err := <-answered:
				t.Fatalf("it waits for nothing: %v", err)
			case <-time.After(100 * time.Millisecond): // by now it waits for what is on its way, or the test finds nothing
			}
			r.srv.Refuse(errors.New("the host is down"))
			r.srv.Cut()
			back := func() {
				r.tap.OnRequest(nil)
				r.tap.Release()
				r.srv.Refuse(nil)
				r.conn.Kick()
			}
			select {
			case err := <-answered:
				if tc.want != 0 {
					wantErrno(t, err, tc.want)
				} else if err != nil {
					t.Error(err)
				}
				back()
			case <-time.After(longEnough):
				t.Error("it waits")
				back()
				<-answered
			}
			if err := r.Sync(ctxOf(t)); err != nil {
				t.Error(err)
			}
		})
	}
}
