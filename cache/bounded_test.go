package cache

import "testing"

// Cache.mu or queue.mu is held then, and the locks of the connection come before neither.
func TestTheTurnOfAChangeIsFoundWithoutTheConnection(t *testing.T) {
	r := newRig(t, nil)
	turn := &pending{}
	ctx, stop := r.bounded(turn.turnIn(ctxOf(t)))
	defer stop()
	if got := ctx.Value(turnKey{}); got != turn {
		t.Errorf("the turn is %v", got)
	}
	if b := ctx.(*lazyBounded); b.ctx != nil {
		t.Error("the connection was asked for a bounded context")
	}
}
