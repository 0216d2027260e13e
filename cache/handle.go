package cache

import (
	"context"
	"errors"
	"syscall"

	"sshmount/cache/filedata"
	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
)

// Handle is an open file.
type Handle struct {
	c           *Cache
	n           *Node
	b           *backend
	fd          *filedata.Handle
	writable    bool
	readable    bool
	bypassPages bool // see BypassPages
	askedBehind bool // see learnBehind; guarded by Cache.mu

	// For the check at a reopening. Guarded by Cache.mu.
	content signature // what the file was when the server last told it of this handle (at its opening first), with our own changes
	former  signature // the same before the last of these: the look of a reopening may have come to the server before that
	unsure  bool      // content is not what the opening told: what is open may be another file than the one that the name leads to now
}

// BypassPages says that the kernel's pages must not serve this handle: others that have the file open read an earlier content, and there
// is but one set of pages for both, or the file ends before the size that the server tells, up to which the kernel would show zeros.
func (h *Handle) BypassPages() bool { return h.bypassPages }

// newHandle enters an opening. Called with mu held.
func (c *Cache) newHandle(n *Node, b *backend, flags uint32) *Handle {
	f := c.content(n)
	access := flags & syscall.O_ACCMODE
	h := &Handle{c: c, n: n, b: b, writable: access != syscall.O_RDONLY, readable: access != syscall.O_WRONLY}
	h.fd = f.data.Open(b)
	h.bypassPages = f.data.Divided() || f.data.Short()
	h.content = signatureOf(n.attr)
	h.former = h.content
	if len(f.handles) == 0 && !f.written.untold {
		f.written.changed = false
	}
	f.handles[h] = struct{}{}
	f.held = true
	if h.writable {
		n.shown = n.shown && f.writers > 0
		f.writers++
		f.writing[h] = struct{}{}
	}
	c.pin(n)
	c.openFiles++
	return h
}

// check looks at a file that was found again after a reconnect: one that was not written here, and is not being changed from here,
// must be what it was. That it is open for writing, or bytes for it wait here, does not change it yet.
func (h *Handle) check(a session.Attr) error {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	f := h.n.file
	if f == nil || f.written.changed && (f.written.untold || f.writers > 0) || h.n.changing() {
		return nil
	}
	if found := signatureOf(a); found != h.content && found != h.former {
		return sftpconn.ErrStale
	}
	return nil
}

// Read returns up to n bytes at off, fewer only at the end of the file. The View must be released. Its error carries an errno: EIO
// where the server could not be reached, ESTALE where the file could not be found again after a reconnect, EINTR or ETIMEDOUT where
// ctx ended.
func (h *Handle) Read(ctx context.Context, off int64, n int) (filedata.View, error) {
	ctx, stop := h.c.bounded(ctx)
	defer stop()
	v, err := h.fd.Read(ctx, off, n)
	if err != nil {
		return v, withErrno("read", h.c.pathOf(h.n), err)
	}
	return v, nil
}

// Write takes a copy of p and returns len(p), or 0 with an error: EFBIG for an offset that no file has, or that of earlier bytes of this
// handle which the server did not take (EIO, ENOSPC, EDQUOT and others), once. It waits where too many bytes are unacknowledged.
func (h *Handle) Write(ctx context.Context, p []byte, off int64) (int, error) {
	return h.write(ctx, p, off, func(ctx context.Context) (int64, error) { return off, h.fd.Write(ctx, p, off) })
}

// WriteBack is Write for pages of a mapping: no program waits for its error.
func (h *Handle) WriteBack(ctx context.Context, p []byte, off int64) (int, error) {
	return h.write(ctx, p, off, func(ctx context.Context) (int64, error) { return off, h.fd.WriteBack(ctx, p, off) })
}

// Append is Write to the end of the file, wherever that is: off is only where the kernel believes it to be.
func (h *Handle) Append(ctx context.Context, p []byte, off int64) (int, error) {
	if h.endUnknown() {
		if err := h.c.refresh(ctx, h.n, h); err != nil {
			return 0, err
		}
		h.believeSize()
	}
	return h.write(ctx, p, off, func(ctx context.Context) (int64, error) { return h.fd.Append(ctx, p) })
}

// write has put take p, which says where it has gone; the kernel believes that to be off.
func (h *Handle) write(ctx context.Context, p []byte, off int64, put func(context.Context) (int64, error)) (int, error) {
	if off < 0 || off+int64(len(p)) < 0 {
		return 0, fail("write", "", syscall.EFBIG, nil)
	}
	if err := h.c.timesFirst(ctx, h.n); err != nil {
		return 0, err
	}
	h.written(0)
	ctx, stop := h.c.bounded(ctx)
	defer stop()
	at, err := put(ctx)
	if err == nil && at != off {
		// The kernel put the bytes into its pages at another place.
		h.c.notifyContent(h.n.id)
	}
	// Once more: the answer to a question put while the write waited does not know of it.
	if err != nil {
		h.written(0)
		return 0, h.c.explainWrite(ctx, h.n, "write", off+int64(len(p)), err)
	}
	h.written(off + int64(len(p)))
	return len(p), nil
}

// endUnknown says whether the server must be asked where the file ends.
func (h *Handle) endUnknown() bool {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	return h.n.file.written.cutLost || h.n.file.data.Short()
}

// believeSize has a file that was seen to end early end where the server says: who appends must not write over what is there.
func (h *Handle) believeSize() {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	if f := h.n.file; f.data.Short() {
		f.data.SetRemoteSize(int64(h.n.attr.Size))
	}
}

// written notes a write through the handle, after which the kernel believes the file to end at end at least.
func (h *Handle) written(end int64) {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	h.c.changed(h.n)
	h.c.noteWriteInto(h.n)
	h.c.dropAhead(h.n)
	h.n.told = max(h.n.told, uint64(end))
}

// changes notes that the server is asked to change the file.
func (h *Handle) changes() {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	if f := h.n.file; f != nil {
		f.written.changed = true
	}
}

// explainWrite gives a failed write, which was to make the file end bytes long at least, its errno: FAILURE may be a full disk.
func (c *Cache) explainWrite(ctx context.Context, n *Node, op string, end int64, err error) error {
	p := c.lastPathOf(n) // a file without a name is on the disk that it was on
	why := c.whyNotStored(ctx, op, p, err)
	// OpenSSH calls an offset that its file system does not know EINVAL.
	if end > surelyHeld && refusal(err) != nil && (errors.Is(why, syscall.EIO) || errors.Is(why, syscall.EINVAL)) {
		return fail(op, p, syscall.EFBIG, err)
	}
	return why
}

// Flush is for each close(2) of the handle: all bytes are acknowledged when it returns, and an error of any
// write of the file is reported, each time. With Async it returns at once: see Sync.
func (h *Handle) Flush(ctx context.Context) error {
	if !h.writable || h.c.o.Async {
		return nil
	}
	err := h.flush(ctx, "close", func(ctx context.Context) error { return h.fd.Flush(ctx, false) })
	h.b.leaving(false)
	return err
}

// Fsync returns when the server has stored all bytes, by fsync@openssh.com where it can. It tells of changes of the file's
// names and attributes, too, that failed after they were answered.
func (h *Handle) Fsync(ctx context.Context) error {
	ctx, stop := h.c.bounded(ctx)
	defer stop()
	if p := h.c.pathOf(h.n); p != "" {
		if err := h.c.queue.wait(ctx, p); err != nil {
			return withErrno("fsync", p, err)
		}
	}
	err := h.flush(ctx, "fsync", h.fd.Sync)
	if err != nil && ctx.Err() != nil {
		return err // who gave up is told the rest the next time
	}
	return errors.Join(err, h.c.failures(h.n))
}

func (h *Handle) flush(ctx context.Context, op string, wait func(context.Context) error) error {
	ctx, stop := h.c.conn.Bounded(ctx)
	defer stop()
	h.c.mu.Lock()
	data := h.n.file.data
	h.c.mu.Unlock()
	size, _ := data.Size()
	if err := h.learnBehind(ctx, wait); err != nil {
		return h.c.explainWrite(ctx, h.n, op, size, err)
	}
	return nil
}

// Release ends the handle, when nobody has it any more. Bytes that are not acknowledged yet go on being delivered.
func (h *Handle) Release() {
	c, n := h.c, h.n
	h.fd.Close()
	c.mu.Lock()
	f := n.file
	delete(f.handles, h)
	if h.writable {
		f.writers--
	}
	wrote := f.written.untold
	last := wrote && h.writable && f.writers == 0 // of those who have written: it learns the mtime
	f.written.learning = f.written.learning || last
	_, dirty := f.data.Size()
	p := c.path(n)
	c.openFiles--
	c.mu.Unlock()
	switch {
	case !h.writable || !dirty && !wrote && !h.b.uncreated():
		c.mu.Lock()
		keep := c.keepRemote(h)
		delete(f.writing, h)
		c.mu.Unlock()
		if !keep {
			h.b.close()
		}
		c.release(n)
	case c.o.Async && p != "":
		c.leavesRoom(h, true)
		// It has its turn among the changes, as those of the name must not overtake the bytes.
		_, err := c.queue.submit(c.ctx, change{op: "close", paths: []string{p}, sure: true, free: true, run: func(ctx context.Context) error {
			if err := h.finish(ctx, last); err != nil && !errors.Is(err, context.Canceled) {
				return err
			}
			return nil
		}})
		if err != nil {
			_ = h.finish(c.ctx, last) // the mount is being ended; the error is known from the bytes' own report
		}
	default:
		c.leavesRoom(h, false)
		h.b.leaving(true)
		if !c.background(func(ctx context.Context) { _ = h.finish(ctx, last) }) {
			_ = h.finish(c.ctx, last)
		}
	}
}

// finish waits until what was written through the handle is delivered, and gives the remote file back; with last it then learns the mtime
// of the file first.
func (h *Handle) finish(ctx context.Context, last bool) error {
	c := h.c
	err := h.learnBehind(ctx, h.fd.Delivered) // what others write from now on is theirs to deliver
	early := c.conn.KeepsOrder()
	if err == nil && last && early {
		c.learnMtime(ctx, h)
	}
	if !early {
		h.b.close()
		if err == nil && last {
			c.learnClosed(ctx, h.n)
		}
	}
	c.mu.Lock()
	if last {
		h.n.file.written.learning = false
	}
	delete(h.n.file.writing, h)
	c.mu.Unlock()
	h.b.close()
	c.hasLeftRoom(h)
	c.release(h.n)
	return err
}
