package cache

import (
	"bytes"
	"context"
	"errors"
	"syscall"

	"sshmount/sftpconn"
)

// Copy copies within the server (copy-data), and little that is here from here; EOPNOTSUPP where it must be done by reading and writing.
// It returns the number of bytes copied, 0 at the end of the source.
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
		return 0, fail(op, "", syscall.EOPNOTSUPP, nil) // files like those in /proc have no size
	}
	if n = min(n, int64(a.Size)-srcOff); n <= 0 {
		return 0, nil
	}
	if copied, err := c.copyHere(ctx, src, srcOff, dst, dstOff, n); copied > 0 || err != nil {
		return copied, err
	}
	c.mu.Lock()
	from, to := src.n.file.data, dst.n.file.data
	c.mu.Unlock()
	// The server copies what it has: ours goes there first.
	if err := from.Drain(ctx); err != nil {
		return 0, c.errno(ctx, op, "", err)
	}
	if err := to.Drain(ctx); err != nil {
		return 0, c.errno(ctx, op, "", err)
	}
	sf, err := src.b.file(ctx)
	if err != nil {
		return 0, c.errno(ctx, op, "", err)
	}
	df, err := dst.b.file(ctx)
	if err != nil {
		return 0, c.errno(ctx, op, "", err)
	}
	dst.written()
	copied, err := c.conn.CopyData(ctx, sf, srcOff, n, df, dstOff)
	if errors.Is(err, sftpconn.ErrUnsupported) && copied == 0 {
		return 0, fail(op, "", syscall.EOPNOTSUPP, err)
	}
	to.Drop()
	to.Grown(dstOff+copied, dstOff+n)
	dst.written()
	c.mu.Lock()
	if size, _ := to.Size(); uint64(size) > dst.n.attr.Size {
		dst.n.attr.Size = uint64(size)
	}
	if copied < n {
		src.n.expire() // it is shorter than it was
		dst.n.expire() // and this may have more of it than was counted
	}
	c.mu.Unlock()
	if err != nil {
		c.notifyContent(dst.n.id)
	}
	if failure(err) {
		// OpenSSH copies nothing between two handles of one path, though one of the files may have lost it since. Reading and
		// writing finds out whether anything else is the matter.
		return 0, fail(op, "", syscall.EOPNOTSUPP, err)
	}
	if err != nil {
		return 0, c.explainWrite(ctx, dst.n, op, dstOff+n, err)
	}
	return copied, nil
}

// copyHere writes what is to be copied where it is little and all of it is here; 0 where not. The bytes cross the line in the flight
// that the close waits for; to have the server copy them costs two, as the source is mostly not even open there.
func (c *Cache) copyHere(ctx context.Context, src *Handle, srcOff int64, dst *Handle, dstOff int64, n int64) (copied int64, err error) {
	if n > cheapAgain {
		return 0, nil
	}
	v, ok := src.fd.ReadHere(srcOff, int(n))
	if !ok {
		return 0, nil
	}
	defer v.Release()
	done, err := dst.write(ctx, bytes.Join(v.Vecs, nil), dstOff, false)
	return int64(done), err
}
