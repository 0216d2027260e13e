package cache

import (
	"context"
	"sync"
)

// lazyBounded is a context like Conn.Bounded's, which is made only when somebody waits: most reads and writes never do.
type lazyBounded struct {
	context.Context
	c *Cache

	mu   sync.Mutex // guards the rest; sftpconn's Conn.mu comes after it
	ctx  context.Context
	stop context.CancelFunc
}

// bounded gives a context that ends with ctx, or when the line has been down for too long (sftpconn.ErrUnreachable). The CancelFunc must be
// called when it is not needed any more.
func (c *Cache) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	b := &lazyBounded{Context: ctx, c: c}
	return b, b.end
}

// made is the bounded context, made at the first call.
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

// Value asks the bounded context, so that context.Cause finds ErrUnreachable. What the cache itself looks for, with its locks held, is in the
// context below.
func (b *lazyBounded) Value(key any) any {
	switch key.(type) {
	case turnKey, insistKey:
		return b.Context.Value(key)
	}
	return b.made().Value(key)
}

// end ends the bounded context, where there is one.
func (b *lazyBounded) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stop != nil {
		b.stop()
	}
}

// await returns when done is closed, or when ctx has ended, with its cause.
func await(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
