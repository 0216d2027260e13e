package cache

import (
	"context"
	"errors"
	"syscall"

	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
)

// openTruncated is Open with O_TRUNC, by the path p. Bytes of other handles that are on their way reach the server first.
func (c *Cache) openTruncated(ctx context.Context, n *Node, p string, flags uint32) (*Handle, bool, error) {
	ctx, stop := c.conn.Bounded(ctx)
	defer stop()
	if err := c.waitForChanges(ctx, n, "open"); err != nil {
		return nil, false, err
	}
	if err := c.sureOfNames(ctx, n); err != nil {
		return nil, false, err
	}
	if err := c.stillNamed(ctx, n, p); err != nil {
		return nil, false, err
	}
	var self *Handle
	var f *sftpconn.File
	var a session.Attr
	var over handover[struct {
		h    *Handle
		keep bool
	}]
	err := c.cut(ctx, n, "open", 0, func(ctx context.Context, p string) (err error) {
		if p == "" {
			return fail("open", "", syscall.ESTALE, errors.New("its name is gone"))
		}
		f, a, err = c.openRemote(ctx, n, p, openFlags(flags)|session.OpenTrunc|session.OpenWrite, 0, &self)
		return err
	}, func(fs *fileState) {
		fs.written.end()
		fs.version.known, fs.held = false, false // nothing from before the truncation is held
		a.Size = 0                               // a server that answers in any order may have looked before it truncated
		c.keepAttr(n, a)
		n.told = 0
		c.markOwn(fs, signatureOf(a))
		if over.unwanted {
			f.Close()
			return
		}
		self = c.newHandle(n, c.openBackend(f, nil), flags)
		fs.written.changed = true
		over.made.h, over.made.keep = self, fs.keepPages(false)
	})
	made := over.returned(c, err)
	switch {
	case err == nil:
		return made.h, made.keep, nil
	case made.h != nil:
		made.h.Release()
	}
	return nil, false, withErrno("open", p, err)
}

// openFlags translates the access mode of open(2). APPEND is never asked for: appending is done by offset.
func openFlags(flags uint32) uint32 {
	switch flags & syscall.O_ACCMODE {
	case syscall.O_WRONLY:
		return session.OpenWrite
	case syscall.O_RDWR:
		return session.OpenRead | session.OpenWrite
	}
	return session.OpenRead
}
