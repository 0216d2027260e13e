package cache

import (
	"context"
	"syscall"
	"testing"

	"sshmount/sftpconn/sftptest"
)

// holdAllReplies keeps back all answers to the requests of some names.
func (r *rig) holdAllReplies(names ...string) {
	held := map[string]bool{}
	for _, name := range names {
		held[name] = true
	}
	r.tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Request != nil && held[p.Request.Name] {
			return sftptest.Hold()
		}
		return sftptest.Pass()
	})
}

// opens begins an opening of a node for reading; await tells how it ended.
func (r *rig) opens(n *Node) (await func() (*Handle, error)) { return r.opensFor(n, syscall.O_RDONLY) }

// opensFor is opens with flags of open(2).
func (r *rig) opensFor(n *Node, flags uint32) (await func() (*Handle, error)) {
	type answer struct {
		h   *Handle
		err error
	}
	ended := make(chan answer, 1)
	ctx, cancel := context.WithCancel(ctxOf(r.t))
	r.t.Cleanup(cancel)
	go func() {
		h, _, err := r.Open(ctx, n, flags)
		ended <- answer{h, err}
	}()
	return func() (*Handle, error) {
		a := <-ended
		if a.h != nil {
			r.t.Cleanup(a.h.Release)
		}
		return a.h, a.err
	}
}

// One has opened what had the name before it was given away, the other one what has it now. The kernel would mix their pages.
func TestOfTwoOpeningsThatFindDifferentFilesOneIsMadeAgain(t *testing.T) {
	for what, newerFirst := range map[string]bool{"the newer is answered first": true, "the older is answered first": false} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t, nil)
			r.put("f", "old")
			n := r.mustFind("f").Node
			r.holdAllReplies("OPEN")
			first := r.opens(n)
			r.waitManyHeld(1)
			r.rotate("f", "a new one")
			second, want := r.opens(n), "old"
			r.waitManyHeld(2)
			r.tap.OnReply(func(sftptest.Packet) sftptest.Action { return sftptest.Pass() })
			answered, late, position := first, second, 0
			if newerFirst {
				answered, late, position, want = second, first, 1, "a new one"
			}
			r.tap.Release(position)
			h, err := answered()
			if err != nil {
				t.Fatal(err)
			}
			r.tap.Release()
			_, err = late()
			wantErrno(t, err, syscall.ESTALE)
			if got := r.readOpen(h); got != want {
				t.Errorf("what was opened first reads %q, want %q", got, want)
			}
			if a, _, err := r.Getattr(ctxOf(t), n, h); err != nil || a.Size != uint64(len(want)) {
				t.Errorf("and is shown with %d bytes; %v", a.Size, err)
			}
			if got, err := r.read("f"); err != nil || got != "a new one" {
				t.Errorf("by the name %q is read; %v", got, err)
			}
		})
	}
}

// The question is from when nothing was open, and so was not compared with what is.
func TestAnAnswerAboutANameIsComparedWithWhatWasOpenedMeanwhile(t *testing.T) {
	for what, ask := range map[string]func(r *rig, n *Node){
		"a stat":    func(r *rig, n *Node) { _, _, _ = r.Getattr(ctxOf(r.t), n, nil) },
		"a look-up": func(r *rig, _ *Node) { _, _ = r.find("f") },
	} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t, nil)
			r.put("f", "old")
			n := r.mustFind("f").Node
			r.distrustNode(n)
			r.holdAllReplies("OPEN", "LSTAT")
			opening := r.opens(n)
			r.waitManyHeld(2)
			r.rotate("f", "a new one")
			answered := make(chan struct{})
			go func() {
				defer close(answered)
				ask(r, n)
			}()
			r.waitManyHeld(3)
			r.tap.OnReply(func(sftptest.Packet) sftptest.Action { return sftptest.Pass() })
			r.tap.Release(0, 1)
			h, err := opening()
			if err != nil {
				t.Fatal(err)
			}
			r.distrustNode(n)
			r.tap.Release()
			<-answered
			if a, _, err := r.Getattr(ctxOf(t), n, h); err != nil || a.Size != 3 {
				t.Errorf("what is open is shown with %d bytes; %v", a.Size, err)
			}
			if got := r.readOpen(h); got != "old" {
				t.Errorf("and reads %q", got)
			}
		})
	}
}

// The kernel does not look the name up once more: ESTALE would reach the program. What it is given is one file, whole.
func TestTheKernelsSecondTryToOpenSucceedsThoughTheNameIsGivenAwayAgain(t *testing.T) {
	for what, row := range map[string]struct {
		open, lost bool // whether somebody has the file open, and whether its name is known to be another's
		want       string
	}{
		"beside a reader":                        {true, false, "old"},
		"beside a reader, and the name is gone":  {true, true, "old"},
		"without a reader, and the name is gone": {false, true, "a new one"},
	} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t, nil)
			r.put("f", "old")
			n := r.mustFind("f").Node
			h, _, err := r.Open(ctxOf(t), n, syscall.O_RDONLY)
			if err != nil {
				t.Fatal(err)
			}
			r.rotate("f", "a new one")
			if row.lost {
				r.distrustNode(n)
				r.mustFind("f")
			}
			if row.open {
				defer h.Release()
			} else {
				h.Release()
			}
			again, _, err := r.OpenAgain(ctxOf(t), n, syscall.O_RDONLY)
			if err != nil {
				t.Fatal(err)
			}
			defer again.Release()
			if got := r.readOpen(again); got != row.want {
				t.Errorf("it reads %q, want %q", got, row.want)
			}
			if got, err := r.read("f"); err != nil || got != "a new one" {
				t.Errorf("by the name %q is read; %v", got, err)
			}
		})
	}
}
