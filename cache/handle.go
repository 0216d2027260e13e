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
	askedBehind bool // it has asked for the mtime behind its bytes (learnBehind); guarded by Cache.mu

	// For the check at a reopening. Guarded by Cache.mu.
	content signature // what is open, as the server last told by this handle (first at its opening), and with changes made here since
	former  signature // content before its last change: the question of a reopening may have come to the server before that
	unsure  bool      // content is not what the opening has told: what is open may be another file than the one that has its name now
}

// BypassPages says that the kernel's pages must not serve this handle: other handles of the file read an earlier content, and the kernel has
// one set of pages for both; or the file ends before the size that the server tells, up to which the kernel would show zeros.
func (h *Handle) BypassPages() bool { return h.bypassPages }

// newHandle makes a handle of a node, opened with the flags of open(2), whose bytes come from b. Called with mu held.
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
	c.opened++
	f.opened = c.opened
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

// check says whether a file that was found again after a reconnect, with attributes a, is the one that is open: it must be what it was,
// unless it was written or is being changed from here. That it is open for writing, or that bytes wait here, has not changed it yet.
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

// Read returns n bytes at off, fewer only at the end of the file. The View must be released. Errors among others: EIO where the server can't
// be reached, ESTALE where the file could not be found again after a reconnect, EINTR or ETIMEDOUT where ctx has ended.
func (h *Handle) Read(ctx context.Context, off int64, n int) (filedata.View, error) {
	ctx, stop := h.c.bounded(ctx)
	defer stop()
	v, err := h.fd.Read(ctx, off, n)
	if err != nil {
		return v, withErrno("read", h.c.pathOf(h.n), err)
	}
	return v, nil
}

// Write takes a copy of p and returns len(p), or 0 with an error. This is EFBIG for an offset that no file has, or the error of earlier bytes
// of this handle, which is returned once (EIO, ENOSPC, EDQUOT and others). It waits while too many bytes are unacknowledged.
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

// write has put take p, and returns the number of bytes. put says at which offset they are; the kernel believes them to be at off.
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
		// The kernel has put the bytes into its pages at another place.
		h.c.notifyContent(h.n.id)
	}
	// The write is noted once more: the answer to a question that was sent while it waited knows nothing of it.
	if err != nil {
		h.written(0)
		return 0, h.c.explainWrite(ctx, h.n, "write", off+int64(len(p)), err)
	}
	h.written(off + int64(len(p)))
	return len(p), nil
}

// endUnknown says whether the server must be asked for the end of the file before anything is appended.
func (h *Handle) endUnknown() bool {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	return h.n.file.written.cutLost || h.n.file.data.Short()
}

// believeSize has a file that was seen to end before its size end at its size: what is appended must not overwrite what is there.
func (h *Handle) believeSize() {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	if f := h.n.file; f.data.Short() {
		f.data.SetRemoteSize(int64(h.n.attr.Size))
	}
}

// written notes a write through the handle, after which the kernel believes the file to be at least end bytes long.
func (h *Handle) written(end int64) {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	h.c.changed(h.n)
	h.c.noteWriteInto(h.n)
	h.c.dropAhead(h.n)
	h.n.told = max(h.n.told, uint64(end))
}

// changes notes that the server is about to be asked to change the file.
func (h *Handle) changes() {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	if f := h.n.file; f != nil {
		f.written.changed = true
	}
}

// explainWrite gives the error of a failed write its errno, for which it may ask the server: FAILURE may be a full disk. end is where the
// write was to end, in bytes.
func (c *Cache) explainWrite(ctx context.Context, n *Node, op string, end int64, err error) error {
	p := c.lastPathOf(n) // a file without a name is still on the same disk
	why := c.whyNotStored(ctx, op, p, err)
	// OpenSSH calls an offset that its file system does not know EINVAL.
	if end > surelyHeld && refusal(err) != nil && (errors.Is(why, syscall.EIO) || errors.Is(why, syscall.EINVAL)) {
		return fail(op, p, syscall.EFBIG, err)
	}
	return why
}

// Flush is called for each close(2) of the handle. When it returns all bytes are acknowledged, or it reports the error of a
// write of the file, each time. With Async it returns at once: see Sync.
func (h *Handle) Flush(ctx context.Context) error {
	if !h.writable || h.c.o.Async {
		return nil
	}
	err := h.flush(ctx, "close", func(ctx context.Context) error { return h.fd.Flush(ctx, false) })
	h.b.leaving(false)
	return err
}

// Fsync returns when the server has stored all bytes, by fsync@openssh.com where it has that. It also reports changes of the file's
// names and attributes that have failed after they were answered.
func (h *Handle) Fsync(ctx context.Context) error {
	ctx, stop := h.c.bounded(ctx)
	defer stop()
	for _, p := range h.c.pathsOf(h.n) {
		if err := h.c.queue.wait(ctx, p); err != nil {
			return withErrno("fsync", p, err)
		}
	}
	err := h.flush(ctx, "fsync", h.fd.Sync)
	if err != nil && ctx.Err() != nil {
		return err // a program that has given up is told the rest the next time
	}
	return errors.Join(err, h.c.failures(h.n))
}

// flush runs wait, which waits for bytes of the handle, as long as the line is not down for too long, and explains its error.
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

// Release ends the handle, which nobody may use any more. Bytes that are not acknowledged go on being delivered.
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
	last := wrote && h.writable && f.writers == 0 // the last of those that have written: it learns the mtime
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
		// The closing has its turn among the changes: a change of the name must not overtake the bytes.
		_, err := c.queue.submit(c.ctx, change{op: "close", paths: []string{p}, sure: true, free: true, run: func(ctx context.Context) error {
			if err := h.finish(ctx, last); err != nil && !errors.Is(err, context.Canceled) {
				return err
			}
			return nil
		}})
		if err != nil {
			_ = h.finish(c.ctx, last) // the mount is being ended; bytes that are lost are reported by themselves
		}
	default:
		c.leavesRoom(h, false)
		h.b.leaving(true)
		if !c.background(func(ctx context.Context) { _ = h.finish(ctx, last) }) {
			_ = h.finish(c.ctx, last)
		}
	}
}

// finish waits until what was written through the handle is delivered, and gives the remote file back. With last it learns the mtime that the
// bytes have got: before the remote file is closed, or, on a server that may tell it only then, afterwards.
func (h *Handle) finish(ctx context.Context, last bool) error {
	c := h.c
	err := h.learnBehind(ctx, h.fd.Delivered) // what is written through other handles from now on is theirs to deliver
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
