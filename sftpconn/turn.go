package sftpconn

import (
	"context"
	"sync"
)

// Turn is the place of a read or write among others of its file. Who has a goroutine for each gives each a Turn: the goroutines
// run in any order, most of all where many wait for a file to be opened. What is read ahead would be asked for before what
// somebody waits for, and what is written far ahead makes a file that grows look as if it did not.
type Turn struct {
	order uint64          // see want.order
	after <-chan struct{} // closed when the one before is over; nil for the first
	done  chan struct{}   // closed by Done
	once  sync.Once
}

// Next gives the turn after t, which may be nil.
func (t *Turn) Next() *Turn {
	n := &Turn{order: nextOrder(), done: make(chan struct{})}
	if t != nil {
		n.after = t.done
	}
	return n
}

// place is the want.order of what has its turn with t, which may be nil.
func (t *Turn) place() uint64 {
	if t == nil {
		return nextOrder()
	}
	return t.order
}

// Done ends t, and lets the next on. It may be called more than once, and must be called once at least.
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

// InTurn makes a context whose read or write is sent when those whose turn is before t have been, and which calls t.Done then.
// Where it ends unsent, Done is left to the caller.
func InTurn(ctx context.Context, t *Turn) context.Context {
	return context.WithValue(ctx, turnKey{}, t)
}

func turnOf(ctx context.Context) *Turn {
	t, _ := ctx.Value(turnKey{}).(*Turn)
	return t
}
