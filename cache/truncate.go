package cache

import (
	"context"
	"syscall"

	"sshmount/sftpconn/session"
)

// truncate is Setattr for a wish with a size.
func (c *Cache) truncate(ctx context.Context, n *Node, h *Handle, a session.Attr) error {
	if c.typeOf(n) != syscall.S_IFREG {
		return fail("truncate", "", syscall.EINVAL, nil)
	}
	ctx, stop := c.conn.Bounded(ctx)
	defer stop()
	if err := c.waitForChanges(ctx, n, "truncate"); err != nil {
		return err
	}
	if p := c.pathOf(n); h == nil && p != "" {
		if err := c.stillNamed(ctx, n, p); err != nil {
			return err
		}
	}
	c.mu.Lock()
	c.dropKept(n) // SFTPGo truncates by a handle that it finds open, and fails where that is open for reading only
	c.mu.Unlock()
	var asked stamp
	var after *session.Attr
	err := c.cut(ctx, n, "truncate", int64(a.Size), func(ctx context.Context, p string) (err error) {
		c.mu.Lock()
		asked = c.stamp(n)
		c.mu.Unlock()
		after, err = c.sendAsking(ctx, n, h, a, p)
		return err
	}, func(fs *fileState) {
		asked.gen++ // cut has counted the truncation itself
		told := after != nil && after.Size == a.Size && !asked.dirty && !c.crossed(n, asked, *after)
		c.applied(n, a)
		fs.noteWrite(min(fs.version.size, a.Size) > 0) // the new mtime hides whether what is left was changed elsewhere before
		if _, dirty := fs.data.Size(); a.Flags&session.HasTimes != 0 && !dirty {
			fs.written.end()
			c.markOwn(fs, signatureOf(n.attr))
		}
		if told {
			c.keepAttr(n, n.withOurs(*after))
		}
	})
	if err != nil {
		c.refusedInPart(n, a)
		return c.byAName(ctx, n, c.explainWrite(ctx, n, "truncate", int64(a.Size), err))
	}
	return nil
}

// cut has send make a file size bytes long, by the path p, which is "" where it has none, and when that is done calls enter with Cache.mu
// held. op names it in errors.
func (c *Cache) cut(ctx context.Context, n *Node, op string, size int64, send func(ctx context.Context, p string) error, enter func(*fileState)) error {
	c.mu.Lock()
	fs := c.content(n)
	fs.written.changed = true
	c.changed(n)
	c.mu.Unlock()
	var p string
	return c.attendBarred(ctx, n, change{
		op: op, locate: c.locateNode(&p, n),
		run: func(ctx context.Context) error { return send(ctx, p) },
		enter: func(err error) {
			fs.data.Truncated(size, err == nil)
			c.changed(n)
			if err != nil {
				fs.written.cutLost = fs.written.cutLost || unanswered(err)
				return
			}
			c.dropAhead(n)
			fs.written.times = nil
			enter(fs)
		},
	})
}

// willBeCut tells the remote files through which n is written that it is about to be cut to size bytes from here: bytes that are missing then
// are not lost. n may be nil. Called with mu held.
func (n *Node) willBeCut(size uint64) {
	if n == nil || n.file == nil {
		return
	}
	for h := range n.file.writing {
		if f := h.b.f.Load(); f != nil {
			f.Shorten(size)
		}
	}
}

// attendBarred registers and attends a change of a file's content as a whole, while which the file is barred (filedata's Bar). A program that
// gives up is answered at once. The bar stays until the server has answered, as anything else that changes the file could overtake what
// was sent.
func (c *Cache) attendBarred(ctx context.Context, n *Node, ch change) error {
	c.mu.Lock()
	data := c.content(n).data
	c.pin(n)
	ch.node = n
	c.mu.Unlock()
	if err := data.Bar(ctx); err != nil {
		c.release(n)
		return err
	}
	p, _, err := c.queue.register(ctx, ch)
	if err != nil {
		data.Unbar()
		c.release(n)
		return err
	}
	return c.queue.attend(ctx, p, func() {
		c.queue.leave(p)
		data.Unbar()
		c.release(n)
	})
}
