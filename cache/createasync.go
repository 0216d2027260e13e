package cache

import (
	"context"
	"errors"
	"syscall"

	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
)

// createAsync is Create with -o async where the outcome is known: the program has its answer, and the file is made in its turn. It returns
// errOvertaken where the outcome is not known any more.
func (c *Cache) createAsync(ctx context.Context, dir *Node, name string, flags, perm uint32) (Found, *Handle, error) {
	b := c.newBackend()
	b.created = make(chan struct{})
	var p string
	var found Found
	var self *Handle
	req := c.createRequest("", flags, perm, &self) // there is a handle when it is sent
	_, err := c.queue.submit(ctx, change{
		op: "create", sure: true, names: []place{{dir, name}}, locate: c.locateName(&p, dir, name),
		still: func() bool { return c.freeIn(dir, name) },
		predict: func(ch *change) {
			found = c.predict(dir, name, session.Attr{Mode: syscall.S_IFREG | perm&0o7777})
			self = c.newHandle(found.Node, b, flags)
			c.beginAhead(b)
			found.Node.file.written.changed = true
			ch.node = found.Node
		},
		run: func(ctx context.Context) error { return c.createAnswered(ctx, b, place{dir, name}, p, req, flags) },
	})
	if err != nil && self == nil {
		return Found{}, nil, err // nothing has entered the tree
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

// createAnswered has the server make the remote file of b, of which the program was told that it is made. p is its path, for errors.
func (c *Cache) createAnswered(ctx context.Context, b *backend, at place, p string, req sftpconn.OpenRequest, flags uint32) error {
	defer close(b.created)
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.endAhead(b)
	}()
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
	}, func(err error) error { return c.whyNotCreated(ctx, p, excl, err) })
	if excl && errors.Is(err, sftpconn.ErrUncertain) {
		// The name was free when the program was told that the file is made, so what is there now is that file.
		f, a, err = c.conn.Open(ctx, req)
	}
	if err == nil && !made && a.Size > 0 && flags&syscall.O_TRUNC == 0 {
		// What a program writes to a new file must not go into one that has content.
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
