package sftpconn

import (
	"context"
	"sync"
)

// Turn is the place of a read or write among others of its file. A caller that starts a goroutine for each gives each a Turn, because
// goroutines run in any order, most of all where many wait for a file to be opened. Without it, what is read ahead could be asked for
// before what a program waits for; and a growing file would look as if it did not grow, where its far end is written first.
type Turn struct {
	order uint64          // see want.order
	after <-chan struct{} // closed by Done of the Turn before; nil for the first
	done  chan struct{}   // closed by Done
	once  sync.Once
}

// Next returns the turn after t, which may be nil.
func (t *Turn) Next() *Turn {
	n := &Turn{order: nextOrder(), done: make(chan struct{})}
	if t != nil {
		n.after = t.done
	}
	return n
}

// place is the want.order of a request whose turn is t, which may be nil.
func (t *Turn) place() uint64 {
	if t == nil {
		return nextOrder()
	}
	return t.order
}

// Done ends t: the next may begin. It must be called at least once, and may be called again.
func (t *Turn) Done() {
	if t != nil {
		t.once.Do(func() { close(t.done) })
	}
}

// wait returns when t's turn has come, or ctx ends.
func (t *Turn) wait(ctx context.Context) error {
	if t == nil || t.after == nil {
		return nil
	}
	select {
	case <-t.after:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

type turnKey struct{}

// InTurn makes a context for a read or write that is sent after those whose turn is before t. When it is sent, t.Done is called. Where
// it ends unsent, the caller has to call Done.
func InTurn(ctx context.Context, t *Turn) context.Context {
	return context.WithValue(ctx, turnKey{}, t)
}

func turnOf(ctx context.Context) *Turn {
	t, _ := ctx.Value(turnKey{}).(*Turn)
	return t
}
