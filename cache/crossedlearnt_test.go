package cache

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
)

// holdReplies keeps the answers to some LSTATs and FSTATs back, by their numbers; the first has 1.
func (r *rig) holdReplies(lstat, fstat map[int64]bool) {
	var lstats, fstats atomic.Int64
	r.tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		switch {
		case p.Request == nil:
		case p.Request.Name == "LSTAT" && lstat[lstats.Add(1)], p.Request.Name == "FSTAT" && fstat[fstats.Add(1)]:
			return sftptest.Hold()
		}
		return sftptest.Pass()
	})
}

func (r *rig) waitManyHeld(n int) {
	r.t.Helper()
	if !r.tap.WaitHeld(n, longEnough) {
		r.t.Fatal("the request never came")
	}
}

// A log has grown, which a stat is just told, and then its name has gone to another file, which an opening is told.
func TestAnOpenFindsThatANameIsAnothersAlsoWhereTheFileIsSeenToHaveGrown(t *testing.T) {
	r := newRig(t, nil)
	r.put("log", "old\n")
	n := r.mustFind("log").Node
	h := r.opened(n, syscall.O_RDONLY)
	r.distrustNode(n)
	r.append("log", "more\n")
	r.holdReplies(map[int64]bool{1: true, 3: true}, map[int64]bool{1: true})
	stat := make(chan error, 1)
	go func() {
		_, _, err := r.Getattr(ctxOf(t), n, nil)
		stat <- err
	}()
	r.waitHeld()
	r.rotate("log", "another file's")
	opened := make(chan error, 1)
	go func() {
		_, _, err := r.Open(ctxOf(t), n, syscall.O_RDONLY)
		opened <- err
	}()
	r.waitManyHeld(2) // the opening asks by the handle
	r.tap.Release(0)  // what the stat is told
	if err := <-stat; err != nil {
		t.Fatal(err)
	}
	r.tap.OnReply(func(sftptest.Packet) sftptest.Action { return sftptest.Pass() })
	r.tap.Release()
	wantErrno(t, <-opened, syscall.ESTALE)
	if a, _, err := r.Getattr(ctxOf(t), n, h); err != nil || a.Size != 9 {
		t.Errorf("the open file is shown with %d bytes; %v", a.Size, err)
	}
	if got := r.readOpen(h); got != "old\nmore\n" {
		t.Errorf("it reads %q", got)
	}
}

// Each question goes to the server, and was put when the file had changed for the second time.
func TestAnAnswerThatMayBeOlderThanWhatIsKnownIsAskedForAgain(t *testing.T) {
	for what, ask := range map[string]func(r *rig, n *Node) (Attr, error){
		"stat": func(r *rig, n *Node) (Attr, error) {
			a, _, err := r.Getattr(ctxOf(r.t), n, nil)
			return a, err
		},
		"look-up": func(r *rig, _ *Node) (Attr, error) {
			f, err := r.find("f")
			return f.Attr, err
		},
	} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t, nil)
			r.put("f", "content")
			n := r.mustFind("f").Node
			r.distrustNode(n)
			r.append("f", " and more")
			r.holdReplies(map[int64]bool{1: true, 2: true}, nil)
			first := make(chan error, 1)
			go func() {
				_, _, err := r.Getattr(ctxOf(t), n, nil)
				first <- err
			}()
			r.waitHeld()
			r.append("f", " and still more")
			var a Attr
			second := make(chan error, 1)
			go func() {
				var err error
				a, err = ask(r, n)
				second <- err
			}()
			r.waitManyHeld(2)
			r.tap.Release(0)
			if err := <-first; err != nil {
				t.Fatal(err)
			}
			r.tap.Release()
			if err := <-second; err != nil {
				t.Fatal(err)
			}
			if want := uint64(len("content and more and still more")); a.Size != want {
				t.Errorf("it is shown with %d bytes, want %d", a.Size, want)
			}
		})
	}
}

// What the server tells of the directory, as that something was made in it, is not about the name.
func TestAnAbsenceIsRememberedThoughADirectoryIsSeenToHaveChangedMeanwhile(t *testing.T) {
	r := newRig(t, nil)
	r.put("d/f", "")
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(r.dir, "d"), old, old); err != nil {
		t.Fatal(err)
	}
	d := r.mustFind("d").Node
	r.holdReplies(map[int64]bool{1: true}, nil)
	absent := make(chan error, 1)
	go func() {
		_, err := r.find("d/g")
		absent <- err
	}()
	r.waitHeld()
	r.put("d/h", "")
	r.statAgain(d)
	r.tap.Release()
	wantErrno(t, <-absent, syscall.ENOENT)
	r.tap.Reset()
	if _, err := r.find("d/g"); err == nil || r.tap.Total() != 0 {
		t.Errorf("asked again: %v, which took %d requests", err, r.tap.Total())
	}
}
