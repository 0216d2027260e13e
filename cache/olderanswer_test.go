package cache

import (
	"syscall"
	"testing"

	"sshmount/sftpconn/sftptest"
)

// Of two answers that come together the younger may be taken in first, as each is by who has asked; and who asks by the handle of a file that
// is copied is answered behind what was asked for before.
func TestAnAnswerThatIsTakenInBehindAYoungerOneIsNotShown(t *testing.T) {
	for what, ask := range map[string]func(r *rig, n *Node) (*Handle, error){
		"opening": func(r *rig, n *Node) (*Handle, error) {
			h, _, err := r.Open(ctxOf(r.t), n, syscall.O_RDONLY)
			return h, err
		},
		"stat": func(r *rig, n *Node) (*Handle, error) {
			_, _, err := r.Getattr(ctxOf(r.t), n, nil)
			return nil, err
		},
		"look-up": func(r *rig, n *Node) (*Handle, error) {
			_, err := r.find("f")
			return nil, err
		},
	} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t, nil)
			r.put("f", "content")
			n := r.mustFind("f").Node
			r.distrustNode(n)
			r.holdReply("LSTAT")
			var h *Handle
			asked := make(chan error, 1)
			go func() {
				var err error
				h, err = ask(r, n)
				asked <- err
			}()
			r.waitHeld()
			r.tap.OnReply(func(sftptest.Packet) sftptest.Action { return sftptest.Pass() })
			r.append("f", " and more")
			r.statAgain(n)
			r.tap.Release()
			if err := <-asked; err != nil {
				t.Fatal(err)
			}
			if a, _, err := r.Getattr(ctxOf(t), n, nil); err != nil || a.Size != uint64(len("content and more")) {
				t.Errorf("it has %d bytes, %v", a.Size, err)
			}
			if h != nil {
				defer h.Release()
				if got := r.readOpen(h); got != "content and more" {
					t.Errorf("it reads %q", got)
				}
			}
		})
	}
}
