package cache

import (
	"bytes"
	"context"
	"errors"
	"syscall"

	"sshmount/sftpconn"
)

// Copy copies n bytes: by the server (copy-data), or from here where they are few and are all here. It returns the number of bytes copied, 0
// at the end of the source. The error is EOPNOTSUPP where it must be done by reading and writing.
func (c *Cache) Copy(ctx context.Context, src *Handle, srcOff int64, dst *Handle, dstOff int64, n int64) (int64, error) {
	const op = "copy"
	if !c.conn.Has("copy-data") || src.n == dst.n {
		return 0, fail(op, "", syscall.EOPNOTSUPP, nil)
	}
	if !dst.writable {
		return 0, fail(op, "", syscall.EBADF, nil)
	}
	ctx, stop := c.conn.Bounded(ctx)
	defer stop()
	a, _, err := c.Getattr(ctx, src.n, src)
	if err != nil {
		return 0, err
	}
	if a.Size == 0 {
		return 0, fail(op, "", syscall.EOPNOTSUPP, nil) // files like those in /proc have content, and the size 0
	}
	if n = min(n, int64(a.Size)-srcOff); n <= 0 {
		return 0, nil
	}
	if copied, err := c.copyHere(ctx, src, srcOff, dst, dstOff, n); copied > 0 || err != nil {
		return copied, err
	}
	copied, err := c.copyThere(ctx, src, srcOff, dst, dstOff, n)
	switch {
	case errors.Is(err, sftpconn.ErrUnsupported) && copied == 0:
		return 0, fail(op, "", syscall.EOPNOTSUPP, err)
	case refusal(err) != nil:
		// OpenSSH refuses to copy between two handles that were opened by one path, though it may lead to another file since. A server may
		// also deny the request as such, or that for the sizes. If anything else is the matter, reading and writing finds out.
		return 0, fail(op, "", syscall.EOPNOTSUPP, err)
	case err != nil:
		return 0, c.explainWrite(ctx, dst.n, op, dstOff+n, err)
	}
	return copied, nil
}

// copyThere has the server copy, and returns how many bytes it has copied. A program that gives up is answered at once. But nothing else
// changes the target until the server has answered: it may still be copying over what would be written then.
func (c *Cache) copyThere(ctx context.Context, src *Handle, srcOff int64, dst *Handle, dstOff, n int64) (copied int64, err error) {
	c.mu.Lock()
	from := src.n.file.data
	c.mu.Unlock()
	if err = from.Flushed(ctx); err != nil { // the server can only copy what it has
		return 0, err
	}
	var there int64
	err = c.attendBarred(ctx, dst.n, change{
		op: "copy",
		run: func(ctx context.Context) error {
			sf, err := src.b.file(ctx)
			if err != nil {
				return err
			}
			df, err := dst.b.file(ctx)
			if err != nil {
				return err
			}
			dst.written(0)
			dst.changes()
			there, err = c.conn.CopyData(ctx, sf, srcOff, n, df, dstOff)
			return err
		},
		enter: func(err error) {
			if there == 0 && errors.Is(err, sftpconn.ErrUnsupported) {
				return
			}
			copied = there
			c.copied(src.n, dst.n, dstOff, copied, n)
			if err != nil {
				c.notifyContent(dst.n.id)
			}
		},
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	return copied, err
}

// copied enters that the server has copied the first copied of n bytes from src to the offset off of dst. Called with mu held.
func (c *Cache) copied(src, dst *Node, off, copied, n int64) {
	to := dst.file.data
	to.Drop()
	end := int64(0)
	if copied > 0 {
		end = off + copied
	}
	to.Grown(end, off+n)
	dst.told = max(dst.told, uint64(end))
	c.changed(dst)
	c.noteWriteInto(dst)
	c.dropAhead(dst)
	if size, _ := to.Size(); uint64(size) > dst.attr.Size {
		dst.attr.Size = uint64(size)
	}
	if copied < n {
		src.expire() // it is shorter than it was
		dst.expire() // and this may have more of it than was counted
	}
}

// copyHere writes what is to be copied from here, where it is little and all of it is here; else it copies nothing. Its bytes travel in the
// flight for which the close waits anyway. A copy by the server costs two flights, as the source is mostly not even open there.
func (c *Cache) copyHere(ctx context.Context, src *Handle, srcOff int64, dst *Handle, dstOff int64, n int64) (copied int64, err error) {
	if n > cheapAgain {
		return 0, nil
	}
	v, ok := src.fd.ReadHere(srcOff, int(n))
	if !ok {
		return 0, nil
	}
	content := bytes.Join(v.Vecs, nil)
	v.Release() // before the write, which may have to wait for the memory that it holds
	done, err := dst.Write(ctx, content, dstOff)
	return int64(done), err
}
