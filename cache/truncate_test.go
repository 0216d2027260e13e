package cache

import (
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

func TestWritesBesideRefusedTruncationsAreNotLost(t *testing.T) {
	r := newRig(t, nil)
	f, h, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()
	r.tap.SetDelay(time.Millisecond)
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "OPEN" {
			return sftptest.Answer(session.StatusPermissionDenied, "no")
		}
		return sftptest.Pass()
	})
	stop := make(chan struct{})
	var truncations sync.WaitGroup
	for range 2 {
		truncations.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, _, err := r.Open(ctxOf(t), f.Node, syscall.O_WRONLY|syscall.O_TRUNC); err == nil {
					t.Error("the opening was not refused")
					return
				}
			}
		})
	}
	want := ""
	for i := range 50 {
		line := fmt.Sprintf("line %d\n", i)
		if _, err := h.Write(ctxOf(t), []byte(line), int64(len(want))); err != nil {
			t.Error(err)
			break
		}
		if err := h.Flush(ctxOf(t)); err != nil {
			t.Error(err)
			break
		}
		want += line
	}
	close(stop)
	truncations.Wait()
	if got := r.remote("f"); got != want {
		t.Errorf("every write and close succeeded, no truncation did, and the server has %q", got)
	}
}

// Another directory would have the path by the time at which the request comes to the server: its file must not be cut.
func TestNoRenameComesBeforeATruncationThatIsOnItsWay(t *testing.T) {
	for mode, change := range map[string]func(*Options){"": nil, ", async": async} {
		for what, cut := range map[string]func(r *rig, n *Node) error{
			"truncate": func(r *rig, n *Node) error {
				size := uint64(0)
				_, _, err := r.Setattr(ctxOf(r.t), n, nil, SetAttr{Size: &size})
				return err
			},
			"open": func(r *rig, n *Node) error {
				h, _, err := r.Open(ctxOf(r.t), n, syscall.O_WRONLY|syscall.O_TRUNC)
				if err == nil {
					h.Release()
				}
				return err
			},
		} {
			t.Run(what+mode, func(t *testing.T) {
				r := newRig(t, change)
				r.put("d/f", "ours")
				r.put("other/f", "theirs")
				r.list(r.Root())
				n := r.mustFind("d/f").Node
				r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
					if p.Name == "OPEN" || p.Name == "LSTAT" || p.Name == "SETSTAT" {
						return sftptest.Hold()
					}
					return sftptest.Pass()
				})
				done, renamed := make(chan error, 1), make(chan error, 1)
				go func() { done <- cut(r, n) }()
				r.waitHeld()
				go func() {
					err := r.Rename(ctxOf(t), r.Root(), "d", r.Root(), "e", false)
					if err == nil {
						err = r.Rename(ctxOf(t), r.Root(), "other", r.Root(), "d", false)
					}
					renamed <- err
				}()
				for len(renamed) == 0 && parkedIn("Rename", "waitAll") == 0 {
					// Who does not wait for the truncation is done by then.
				}
				r.tap.OnRequest(nil)
				r.tap.Release()
				if err := <-done; err != nil {
					t.Errorf("truncation: %v", err)
				}
				if err := <-renamed; err != nil {
					t.Errorf("rename: %v", err)
				}
				if err := r.Sync(ctxOf(t)); err != nil {
					t.Error(err)
				}
				if ours, theirs := r.remote("e/f"), r.remote("d/f"); ours != "" || theirs != "theirs" {
					t.Errorf("the file holds %q, and the one that has its path now %q", ours, theirs)
				}
			})
		}
	}
}
