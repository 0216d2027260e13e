package cache

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
)

// openCrossing opens a file while something else happens to it: after the server has looked at it, before the answer is here.
func (r *rig) openCrossing(n *Node, flags uint32, meanwhile func() error) *Handle {
	r.t.Helper()
	r.tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Request != nil && p.Request.Name == "LSTAT" {
			return sftptest.Hold()
		}
		return sftptest.Pass()
	})
	type opened struct {
		h   *Handle
		err error
	}
	done := make(chan opened, 1)
	go func() {
		h, _, err := r.Open(ctxOf(r.t), n, flags)
		done <- opened{h, err}
	}()
	if !r.tap.WaitHeld(1, 10*time.Second) {
		r.t.Fatal("the open does not look at the file")
	}
	if err := meanwhile(); err != nil {
		r.t.Error(err)
	}
	r.tap.OnReply(nil)
	r.tap.Release()
	o := <-done
	if o.err != nil {
		r.t.Fatal(o.err)
	}
	r.t.Cleanup(o.h.Release)
	return o.h
}

// meanwhiles are what others of this machine may do to a file while it is being opened.
var meanwhiles = map[string]func(r *rig, n *Node, other *Handle) error{
	"a close without a write": func(r *rig, n *Node, other *Handle) error { return other.Flush(ctxOf(r.t)) },
	"a chmod": func(r *rig, n *Node, other *Handle) error {
		mode := uint32(0o640)
		_, _, err := r.Setattr(ctxOf(r.t), n, nil, SetAttr{Mode: &mode})
		return err
	},
	"a write and a close": func(r *rig, n *Node, other *Handle) error {
		if _, err := other.Write(ctxOf(r.t), []byte("a"), 0); err != nil {
			return err
		}
		return other.Flush(ctxOf(r.t))
	},
}

func TestAppendingFindsTheEndBesideChangesOfTheFile(t *testing.T) {
	for name, meanwhile := range meanwhiles {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.put("f", strings.Repeat("a", 100))
			n := r.mustFind("f").Node
			other := r.opened(n, syscall.O_RDWR)
			r.append("f", strings.Repeat("b", 100))
			h := r.openCrossing(n, syscall.O_WRONLY|syscall.O_APPEND, func() error { return meanwhile(r, n, other) })
			if _, err := h.Append(ctxOf(t), []byte("ours"), 100); err != nil {
				t.Fatal(err)
			}
			if err := h.Flush(ctxOf(t)); err != nil {
				t.Fatal(err)
			}
			if got, want := r.remote("f"), strings.Repeat("a", 100)+strings.Repeat("b", 100)+"ours"; got != want {
				t.Errorf("appended over bytes that were there: %q", got[95:])
			}
		})
	}
}

func TestAGrownFileIsReadToItsEndBesideChangesOfTheFile(t *testing.T) {
	for name, meanwhile := range meanwhiles {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.put("f", strings.Repeat("a", 100))
			n := r.mustFind("f").Node
			other := r.opened(n, syscall.O_RDWR)
			if s, err := r.readFrom(other, 0, 4096); err != nil || len(s) != 100 {
				t.Fatal(len(s), err)
			}
			r.append("f", strings.Repeat("b", 100))
			old := time.Now().Add(-time.Minute)
			if err := os.Chtimes(filepath.Join(r.dir, "f"), old, old); err != nil {
				t.Fatal(err)
			}
			h := r.openCrossing(n, syscall.O_RDWR, func() error { return meanwhile(r, n, other) })
			r.mu.Lock()
			n.expire() // what is known of it has had its time
			r.mu.Unlock()
			if a, _, err := r.Getattr(ctxOf(t), n, h); err != nil || a.Size != 200 {
				t.Fatal("size", a.Size, err)
			}
			if s, err := r.readFrom(h, 0, 4096); err != nil || len(s) != 200 {
				t.Errorf("of 200 bytes a read from the beginning gives %d, %v", len(s), err)
			}
		})
	}
}

// Another directory has the path by the time at which the opening comes to the server.
func TestAnOpenThatTwoRenamesOvertakeOpensTheFile(t *testing.T) {
	for what, flags := range map[string]uint32{"to read": syscall.O_RDONLY, "to write": syscall.O_RDWR} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t, nil)
			r.put("d/f", "ours")
			r.put("other/f", "theirs")
			r.mustFind("other")
			n := r.mustFind("d/f").Node
			r.holdRequests("OPEN", "LSTAT")
			type opened struct {
				h   *Handle
				err error
			}
			was := make(chan opened, 1)
			go func() {
				h, _, err := r.Open(ctxOf(t), n, flags)
				was <- opened{h, err}
			}()
			r.waitHeld()
			for _, name := range [][2]string{{"d", "e"}, {"other", "d"}} {
				if err := r.Rename(ctxOf(t), r.Root(), name[0], r.Root(), name[1], false); err != nil {
					t.Fatal(err)
				}
			}
			r.tap.OnRequest(nil)
			r.tap.Release()
			o := <-was
			if o.err != nil {
				t.Fatal(o.err)
			}
			defer o.h.Release()
			if got := r.readOpen(o.h); got != "ours" {
				t.Errorf("it holds %q", got)
			}
		})
	}
}
