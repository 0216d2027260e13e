package cache

import (
	"context"
	"sync"
)

// lazyBounded is Conn.Bounded of a context, made only when somebody waits on it: most reads and writes never do.
type lazyBounded struct {
	context.Context
	c *Cache

	mu   sync.Mutex // guards the rest; sftpconn's Conn.mu comes after it
	ctx  context.Context
	stop context.CancelFunc
}

func (c *Cache) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	b := &lazyBounded{Context: ctx, c: c}
	return b, b.end
}

func (b *lazyBounded) made() context.Context {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ctx == nil {
		b.ctx, b.stop = b.c.conn.Bounded(b.Context)
	}
	return b.ctx
}

func (b *lazyBounded) Done() <-chan struct{} { return b.made().Done() }
func (b *lazyBounded) Err() error            { return b.made().Err() }

// Value hands questions on to the bounded context, so that context.Cause finds ErrUnreachable.
func (b *lazyBounded) Value(key any) any { return b.made().Value(key) }

func (b *lazyBounded) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stop != nil {
		b.stop()
	}
}
