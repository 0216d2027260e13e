package cache

import (
	"syscall"
	"testing"
)

// A log that somebody writes to on the server, and that is followed here, outlives the connection as it last was, not as it was opened.
func TestAFileSeenToGrowIsFoundAgainAfterAReconnect(t *testing.T) {
	asks := map[string]func(r *rig, n *Node, h *Handle){
		"at a stat":      func(r *rig, n *Node, h *Handle) { _, _, _ = r.Getattr(ctxOf(r.t), n, h) },
		"at a look-up":   func(r *rig, _ *Node, _ *Handle) { r.mustFind("log") },
		"behind a list":  func(r *rig, n *Node, h *Handle) { r.list(r.Root()); _, _, _ = r.Getattr(ctxOf(r.t), n, h) },
		"by another who": func(r *rig, n *Node, _ *Handle) { r.opened(n, syscall.O_RDONLY) },
	}
	for name, ask := range asks {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.put("log", "one\n")
			n := r.mustFind("log").Node
			h := r.opened(n, syscall.O_RDONLY)
			r.put("log", "one\ntwo\n")
			r.distrustNode(n)
			ask(r, n, h)
			r.srv.Cut()
			n.file.data.Drop()
			if got := r.readOpen(h); got != "one\ntwo\n" {
				t.Errorf("read %q after a cut", got)
			}
		})
	}
}

// What it was between is no excuse for what was changed while the line was down.
func TestAFileThatGrowsWhileTheLineIsDownIsStale(t *testing.T) {
	r := newRig(t, nil)
	r.put("log", "one\n")
	n := r.mustFind("log").Node
	h := r.opened(n, syscall.O_RDONLY)
	r.put("log", "one\ntwo\n")
	r.distrustNode(n)
	if _, _, err := r.Getattr(ctxOf(t), n, h); err != nil {
		t.Fatal(err)
	}
	r.srv.Cut()
	r.put("log", "one\ntwo\nthree\n")
	n.file.data.Drop()
	_, err := r.readFrom(h, 0, 100)
	wantErrno(t, err, syscall.ESTALE)
}
