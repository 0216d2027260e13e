package cache

import (
	"context"
	"sync/atomic"
	"time"

	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
)

// backend is the remote file behind a handle, which may be opened later than the handle: when it is first
// needed (its content was fetched ahead), or when its creation has had its turn.
type backend struct {
	c *Cache
	// turn is held by who opens the file; a channel, as opening takes a round trip and waiting for it must end with a context.
	turn chan struct{}
	f    atomic.Pointer[sftpconn.File]                     // set once
	open func(ctx context.Context) (*sftpconn.File, error) // nil where f is there from the start, or comes of a creation

	created chan struct{} // nil, or closed by the creation when it has set f or failed
	failed  error         // set before created is closed

	self **Handle // where the checks of f find the handle it belongs to, guarded by Cache.mu; nil where it has but one

	left, counted bool // see fileRoom; guarded by Cache.mu

	closed atomic.Bool
	// Counts the backends of one remote file that are not closed; nil where this is the only one. Set with Cache.mu held, while the
	// handle of the backend is among those of its file.
	users *atomic.Int32
}

func (b *backend) set(f *sftpconn.File) {
	b.f.Store(f)
	if b.closed.Load() {
		f.Close()
	}
}

// uncreated says whether the file may still have to be created.
func (b *backend) uncreated() bool { return b.created != nil && b.f.Load() == nil }

// file gives the open remote file.
func (b *backend) file(ctx context.Context) (*sftpconn.File, error) {
	if f := b.f.Load(); f != nil {
		return f, nil
	}
	if b.created != nil {
		if err := await(ctx, b.created); err != nil {
			return nil, err
		}
		if b.failed != nil {
			return nil, b.failed
		}
		return b.f.Load(), nil
	}
	select {
	case b.turn <- struct{}{}:
		defer func() { <-b.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if f := b.f.Load(); f != nil {
		return f, nil
	}
	f, err := b.open(ctx)
	if err != nil {
		return nil, err
	}
	b.set(f)
	return f, nil
}

// fileSoon is file for a program, which waits for what is on its way no longer than for the line.
func (b *backend) fileSoon(ctx context.Context) (*sftpconn.File, error) {
	ctx, stop := b.c.bounded(ctx)
	defer stop()
	return b.file(ctx)
}

// openBeforeRemoval opens what the handles of a node have not had to open yet, before its name is taken away: afterwards it could not be
// found. What can't be opened now is found out when it is needed. Until end is called no such handle comes into being; that is
// when the name is gone here too.
func (c *Cache) openBeforeRemoval(ctx context.Context, n *Node) (end func()) {
	if n == nil {
		return func() {}
	}
	var late []*backend
	c.mu.Lock()
	n.going++
	if n.file != nil {
		for h := range n.file.handles {
			if h.b.open != nil && h.b.f.Load() == nil {
				late = append(late, h.b)
			}
		}
	}
	c.mu.Unlock()
	for _, b := range late {
		_, _ = b.file(ctx)
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		n.going--
	}
}

// leaving tells the file that it is about to be closed.
func (b *backend) leaving(sure bool) {
	if f := b.f.Load(); f != nil {
		f.Leaving(sure)
	}
}

// close gives the file back; one that is still to come is closed when it comes.
func (b *backend) close() {
	if b.closed.Swap(true) {
		return
	}
	if b.users != nil && b.users.Add(-1) > 0 {
		return
	}
	if f := b.f.Load(); f != nil {
		f.Close()
	}
}

// share makes one more backend of a remote file that is open. Called with Cache.mu held.
func (b *backend) share() *backend {
	if b.users == nil {
		b.users = new(atomic.Int32)
		b.users.Store(1)
	}
	b.users.Add(1)
	s := &backend{c: b.c, turn: make(chan struct{}, 1), users: b.users}
	s.set(b.f.Load())
	return s
}

func (b *backend) MaxRead() int { return b.c.conn.MaxRead() }

func (b *backend) RTT() time.Duration { return b.c.conn.RTT() }

func (b *backend) MaxWrite() int { return b.c.conn.MaxWrite() }

func (b *backend) ReadAt(ctx context.Context, dst []byte, off int64) (int, error) {
	f, err := b.file(ctx)
	if err != nil {
		return 0, err
	}
	return f.ReadAt(ctx, dst, off)
}

func (b *backend) ReadGrown(ctx context.Context, dst []byte, off int64) (int, error) {
	f, err := b.file(ctx)
	if err != nil {
		return 0, err
	}
	return f.ReadGrown(ctx, dst, off)
}

func (b *backend) WriteAt(ctx context.Context, p []byte, off int64) error {
	f, err := b.file(ctx)
	if err != nil {
		return err
	}
	return f.WriteAt(ctx, p, off)
}

func (b *backend) WriteSetstat(ctx context.Context, p []byte, off int64, a session.Attr) error {
	f, err := b.file(ctx)
	if err != nil {
		return err
	}
	return f.WriteSetstat(ctx, p, off, a)
}

func (b *backend) Setstat(ctx context.Context, a session.Attr) error {
	f, err := b.file(ctx)
	if err != nil {
		return err
	}
	return f.Setstat(ctx, a)
}

func (b *backend) Fsync(ctx context.Context) error {
	f, err := b.file(ctx)
	if err != nil {
		return err
	}
	return f.Fsync(ctx)
}

func (b *backend) FsyncBehind(ctx context.Context, until <-chan struct{}, asked int64) (stored func() bool, err error) {
	f, err := b.file(ctx)
	if err != nil {
		return nil, nil // those who write see it, too
	}
	return f.FsyncBehind(ctx, until, asked)
}

func (b *backend) StatBehind(ctx context.Context, until <-chan struct{}, asked int64) (told func() (session.Attr, bool)) {
	f, err := b.file(ctx)
	if err != nil {
		return nil // those who write see it, too
	}
	return f.StatBehind(ctx, until, asked)
}
