package cache

import (
	"context"
	"sync/atomic"
	"time"

	"sshmount/cache/filedata"
	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
)

// backend is the remote file behind a handle. It may be opened later than the handle: when it is first needed, as its content was fetched
// ahead (open), or when its creation has had its turn (created).
type backend struct {
	c *Cache
	f atomic.Pointer[sftpconn.File] // the remote file, set once

	open    func(ctx context.Context) (*sftpconn.File, error) // opens f; nil where f is there from the start, or comes from a creation
	opening chan struct{}                                     // a lock with one token, held while open runs: waiting for it ends with a context

	created chan struct{} // nil, or closed by the creation when it has set f or failed
	failed  error         // why the creation has failed; set before created is closed

	self **Handle // where the hooks of f find its handle (reopened.go); guarded by Cache.mu; nil where they belong to one handle for good

	left, counted, ahead bool // see fileRoom; guarded by Cache.mu

	closed atomic.Bool
	users  *atomic.Int32 // backends of f that are not closed; nil where this is the only one (share); the pointer is guarded by Cache.mu
}

// newBackend makes a backend that has no remote file yet.
func (c *Cache) newBackend() *backend { return &backend{c: c, opening: make(chan struct{}, 1)} }

// openBackend makes the backend of a remote file that is open. self is where the hooks of the file find its handle.
func (c *Cache) openBackend(f *sftpconn.File, self **Handle) *backend {
	b := c.newBackend()
	b.self = self
	b.set(f)
	return b
}

// set enters the remote file, and closes it where nobody needs it any more.
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
	case b.opening <- struct{}{}:
		defer func() { <-b.opening }()
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

// fileSoon is file for a program, which waits no longer than the line may be down.
func (b *backend) fileSoon(ctx context.Context) (*sftpconn.File, error) {
	ctx, stop := b.c.bounded(ctx)
	defer stop()
	return b.file(ctx)
}

// openBeforeRemoval opens the remote files that the handles of a node have not needed yet, before its name is taken away: afterwards they
// could not be found. One that can't be opened fails again when it is needed. n may be nil. Until end is called, when the name is gone
// here too, no further handle comes without its remote file.
func (c *Cache) openBeforeRemoval(ctx context.Context, n *Node) (end func()) {
	if n == nil {
		return func() {}
	}
	var late []*backend
	c.mu.Lock()
	n.removals++
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
		n.removals--
	}
}

// leaving tells the remote file that it is about to be closed; see sftpconn's File.Leaving.
func (b *backend) leaving(sure bool) {
	if f := b.f.Load(); f != nil {
		f.Leaving(sure)
	}
}

// close gives the remote file back; one that is still to come is closed when it comes (set).
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

// share makes one more backend of the remote file, which is open. Called with Cache.mu held.
func (b *backend) share() *backend {
	if b.users == nil {
		b.users = new(atomic.Int32)
		b.users.Store(1)
	}
	b.users.Add(1)
	s := b.c.openBackend(b.f.Load(), nil)
	s.users = b.users
	return s
}

// What follows is filedata.Backend: each method waits until the remote file is open, and hands on to it.

var _ filedata.Backend = (*backend)(nil)

func (b *backend) MaxRead() int       { return b.c.conn.MaxRead() }
func (b *backend) MaxWrite() int      { return b.c.conn.MaxWrite() }
func (b *backend) RTT() time.Duration { return b.c.conn.RTT() }

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
		return nil, nil // the writes that it would follow fail in the same way, and tell
	}
	return f.FsyncBehind(ctx, until, asked)
}

func (b *backend) StatBehind(ctx context.Context, until <-chan struct{}, asked int64) (told func() (session.Attr, bool)) {
	f, err := b.file(ctx)
	if err != nil {
		return nil // the writes that it would follow fail in the same way, and tell
	}
	return f.StatBehind(ctx, until, asked)
}
