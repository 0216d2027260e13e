package cache

import (
	"context"
	"sync"
	"time"
)

// With -o async a program may rename a name, or a directory above it, again and again, and have each answered at once. A question about the
// name would find it moved whenever it has waited for the renames that it found, and each answer would be about something else (strayed).
// So there are two bounds: of renames in a row, each of which comes before the last is done: after maxMoves of them, each waits for the last.
// And of the renames that overtake a question: once one has, the next ones wait until the question is answered (insist).

const (
	maxMoves = 64               // each of them takes the server an RTT
	maxHold  = 10 * time.Second // how long a rename waits at most for questions that insist
)

// insistKey is the context key of a question that insists.
type insistKey struct{}

// insist makes renames that are not answered yet wait, as long as no end is called, for a question in the context that it returns, which a
// rename has overtaken. It takes no lock of the cache.
func (c *Cache) insist(ctx context.Context) (insists context.Context, end func()) {
	if !c.o.Async || ctx.Value(insistKey{}) != nil {
		return ctx, func() {}
	}
	h := &c.queue.held
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.by == 0 {
		h.over = make(chan struct{})
	}
	h.by++
	return context.WithValue(ctx, insistKey{}, true), sync.OnceFunc(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.by--; h.by == 0 {
			close(h.over)
		}
	})
}

// heldMoves tells renames to wait.
type heldMoves struct {
	mu   sync.Mutex    // guards the rest; no other lock is taken while it is held
	by   int           // how many questions insist
	over chan struct{} // closed when none of them does any more
}

// wait returns when no question insists, or after maxHold.
func (h *heldMoves) wait(ctx context.Context) {
	h.mu.Lock()
	held, over := h.by > 0, h.over
	h.mu.Unlock()
	if !held || ctx.Value(insistKey{}) != nil {
		return
	}
	timer := time.NewTimer(maxHold)
	defer timer.Stop()
	select {
	case <-over:
	case <-timer.C:
	case <-ctx.Done():
	}
}
