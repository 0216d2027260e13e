package cache

import (
	"context"
	"errors"
	"syscall"

	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
)

// createAsync answers a creation whose outcome is known, and has it done in its turn.
func (c *Cache) createAsync(ctx context.Context, dir *Node, name string, flags, perm uint32) (Found, *Handle, error) {
	b := c.newBackend()
	b.created = make(chan struct{})
	var p string
	var found Found
	var self *Handle
	req := c.createRequest("", flags, perm, &self) // its path is that of the handle
	_, err := c.queue.submit(ctx, change{
		op: "create", sure: true, names: []place{{dir, name}}, locate: c.locateName(&p, dir, name),
		still: func() bool { return c.freeIn(dir, name) },
		predict: func(ch *change) {
			found = c.predict(dir, name, session.Attr{Mode: syscall.S_IFREG | perm&0o7777})
			self = c.newHandle(found.Node, b, flags)
			found.Node.file.written.changed = true
			ch.node = found.Node
		},
		run: func(ctx context.Context) error { return c.createAnswered(ctx, b, place{dir, name}, p, req, flags) },
	})
	if err != nil && self == nil {
		return Found{}, nil, err // the backlog had no room and the program did not wait for it
	}
	if err != nil {
		b.failed = err
		close(b.created)
		self.Release()
		c.mu.Lock()
		c.forgetName(dir, name)
		c.mu.Unlock()
		c.Forget(found.Node.id, 1)
		return Found{}, nil, err
	}
	return found, self, nil
}

// createAnswered has the server make the file of b, of which the program was told that it is made. p is its path, for errors.
func (c *Cache) createAnswered(ctx context.Context, b *backend, at place, p string, req sftpconn.OpenRequest, flags uint32) error {
	defer close(b.created)
	excl := flags&syscall.O_EXCL != 0
	var f *sftpconn.File
	var a session.Attr
	var made bool
	if err := c.mayMake(ctx, at); err != nil {
		b.failed = fail("create", p, syscall.EEXIST, err)
		return b.failed
	}
	err := c.createInRoom(ctx, func() (err error) {
		f, a, made, err = c.createRemote(ctx, req, excl, true)
		return err
	})
	if excl && errors.Is(err, sftpconn.ErrUncertain) {
		// The name was free and the program has been told that the file is made: what is there now is it.
		f, a, err = c.conn.Open(ctx, req)
	}
	if err == nil && !made && a.Size > 0 && flags&syscall.O_TRUNC == 0 {
		// What the program has written to a new file has no place in one that has bytes.
		f.Close()
		err = fail("create", p, syscall.EEXIST, errors.New("a file that is not empty has come there meanwhile"))
	}
	if err != nil {
		b.failed = c.whyNotCreated(ctx, p, excl, err)
		return b.failed
	}
	if made {
		c.learnOwner(at.dir, a)
	}
	b.set(f)
	c.mu.Lock()
	c.countRoom(b)
	c.mu.Unlock()
	return nil
}
