package fusefs

import (
	"errors"
	"math"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"sshmount/cache"
)

// Open opens a regular file.
func (fs *filesystem) Open(cancel <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	n, st := fs.admit(&in.InHeader)
	if !st.Ok() {
		return st
	}
	lastTry := fs.later.lastTry(&in.InHeader)
	if h, keep, ok := fs.later.take(&in.InHeader, in.Flags); ok {
		fs.opened(h, in.Flags, keep, out)
		return fuse.OK
	}
	op := fs.begin(cancel, &in.InHeader)
	defer op.end()
	open := fs.cache.Open
	if lastTry {
		open = fs.cache.OpenAgain
	}
	h, keep, err := open(op, n, in.Flags&^fuse.FMODE_EXEC)
	if errors.Is(err, syscall.ENOENT) && !lastTry {
		// It was there when the kernel looked it up. After ESTALE it looks again, and makes the file if its program has said O_CREAT.
		return fs.later.answered(&in.InHeader, fuse.Status(syscall.ESTALE))
	}
	if err != nil {
		return fs.later.answered(&in.InHeader, fs.status("open", in.NodeId, "", err))
	}
	if !keep && in.Flags&syscall.O_TRUNC == 0 {
		fs.forgetSize(in.NodeId)
	}
	if in.Flags&syscall.O_ACCMODE != syscall.O_WRONLY && h.Mistold() {
		if in.Flags&syscall.O_TRUNC == 0 {
			fs.forgetPages(op, n) // now, and not in the look-up that follows: the kernel doubts an answer that crosses with a notice
		}
		if !lastTry && fs.later.put(&in.InHeader, in.Flags, h, keep) {
			return fuse.Status(syscall.ESTALE)
		}
	}
	fs.opened(h, in.Flags, keep, out)
	return fuse.OK
}

// forgetSize makes the kernel ask for the attributes of a file again. The answer to an OPEN has no room for them, and of a file that has
// grown the kernel would show no more than the size that it knows. The notice may be sent from within a request: it names no pages, so the
// kernel takes no lock for it.
func (fs *filesystem) forgetSize(id uint64) {
	fs.server.InodeNotify(id, -1, 0)
}

// forgetPages has the kernel drop the pages of a file that was seen to change, before an answer tells of its new size. It may be called
// only in look-ups, requests for attributes and OPENs: during these the kernel holds no page locked. The notice waits for reads of the file
// that are under way. Their answers come from other goroutines, so nothing is done with SingleThreaded; and op waits for the notice only as
// long as a read may take on a sound line (noticePatience).
func (fs *filesystem) forgetPages(op *operation, n *cache.Node) {
	if fs.opts.SingleThreaded || !fs.cache.TakeMustForgetPages(n) {
		return
	}
	told := make(chan struct{})
	go func() { // ends with the mount at the latest
		defer close(told)
		fs.notices.ContentChanged(n.ID())
	}()
	timer := time.NewTimer(noticePatience)
	defer timer.Stop()
	select {
	case <-told:
	case <-timer.C:
	case <-op.Done():
	}
}

// noticePatience is how long a request waits for the kernel to forget pages.
const noticePatience = time.Second

// Create makes and opens a regular file.
func (fs *filesystem) Create(cancel <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	dir, st := fs.admit(&in.InHeader)
	if !st.Ok() {
		return st
	}
	op := fs.begin(cancel, &in.InHeader)
	defer op.end()
	f, h, err := fs.cache.Create(op, dir, name, in.Flags&^fuse.FMODE_EXEC, in.Mode&0o7777)
	if st := fs.newEntry(op, "create", &in.InHeader, name, f, err, &out.EntryOut); !st.Ok() {
		if err == nil {
			h.Release()
		}
		return st
	}
	fs.opened(h, in.Flags, false, &out.OpenOut)
	return fuse.OK
}

// opened answers an OPEN with a handle. keep says that the kernel's pages of the file are still good; without, it drops them.
func (fs *filesystem) opened(h *cache.Handle, flags uint32, keep bool, out *fuse.OpenOut) {
	out.Fh = fs.files.put(h)
	switch {
	case fs.opts.DirectIO, h.BypassPages():
		out.OpenFlags |= fuse.FOPEN_DIRECT_IO
	case keep || fs.opts.KernelCache:
		out.OpenFlags |= fuse.FOPEN_KEEP_CACHE
	}
	if flags&syscall.O_ACCMODE == syscall.O_RDONLY {
		out.OpenFlags |= fuse.FOPEN_NOFLUSH // nothing is written through it, so its close has nothing to wait for
	}
}

// Tmpfile refuses: SFTP can't make a file without a name. Programs know EOPNOTSUPP, and make a named one.
func (fs *filesystem) Tmpfile(<-chan struct{}, *fuse.CreateIn, *fuse.CreateOut) fuse.Status {
	return fuse.ENOTSUP
}

// Read answers with the cache's own blocks, without copying them; they are given back when the kernel has them.
func (fs *filesystem) Read(cancel <-chan struct{}, in *fuse.ReadIn, _ []byte) (fuse.ReadResult, fuse.Status) {
	h, ok := fs.files.get(in.Fh)
	if !ok {
		return nil, fuse.EBADF
	}
	if in.Offset > math.MaxInt64 {
		return nil, fuse.EINVAL
	}
	op := fs.begin(cancel, &in.InHeader)
	op.pages = true
	defer op.end()
	v, err := h.Read(op, int64(in.Offset), int(in.Size))
	if err != nil {
		return nil, fs.status("read", in.NodeId, "", err)
	}
	return newReadResult(v), fuse.OK
}

// Write hands bytes to the cache, which copies them: the buffer is go-fuse's.
func (fs *filesystem) Write(cancel <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	h, ok := fs.files.get(in.Fh)
	if !ok {
		return 0, fuse.EBADF
	}
	if in.Offset > math.MaxInt64-uint64(len(data)) {
		return 0, fuse.Status(syscall.EFBIG)
	}
	op := fs.begin(cancel, &in.InHeader)
	defer op.end()
	write := h.Write
	switch {
	case in.WriteFlags&fuse.WRITE_CACHE != 0: // a page of a mapping goes to its own place, also with O_APPEND
		write = h.WriteBack
	case in.Flags&syscall.O_APPEND != 0: // the flags of now: fcntl(2) may have changed them since the open
		write = h.Append
	}
	n, err := write(op, data, int64(in.Offset))
	if err != nil && n == 0 {
		return 0, fs.status("write", in.NodeId, "", err)
	}
	return uint32(n), fuse.OK
}

// Flush answers close(2).
func (fs *filesystem) Flush(cancel <-chan struct{}, in *fuse.FlushIn) fuse.Status {
	h, ok := fs.files.get(in.Fh)
	if !ok {
		return fuse.EBADF
	}
	op := fs.begin(cancel, &in.InHeader)
	defer op.end()
	op.flush = true
	return fs.status("flush", in.NodeId, "", h.Flush(op))
}

// Fsync answers fsync(2) and fdatasync(2).
func (fs *filesystem) Fsync(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	h, ok := fs.files.get(in.Fh)
	if !ok {
		return fuse.EBADF
	}
	op := fs.begin(cancel, &in.InHeader)
	defer op.end()
	return fs.status("fsync", in.NodeId, "", h.Fsync(op))
}

// Release ends a handle, when its last descriptor and mapping are gone.
func (fs *filesystem) Release(_ <-chan struct{}, in *fuse.ReleaseIn) {
	if h, ok := fs.files.take(in.Fh); ok {
		h.Release()
	}
}

// CopyFileRange copies on the server. After EOPNOTSUPP the kernel copies by reading and writing.
func (fs *filesystem) CopyFileRange(cancel <-chan struct{}, in *fuse.CopyFileRangeIn) (uint32, fuse.Status) {
	src, ok1 := fs.files.get(in.FhIn)
	dst, ok2 := fs.files.get(in.FhOut)
	if !ok1 || !ok2 {
		return 0, fuse.EBADF
	}
	if in.OffIn > math.MaxInt64 || in.OffOut > math.MaxInt64 {
		return 0, fuse.EINVAL
	}
	const page = 4096
	n := int64(min(in.Len, math.MaxUint32&^(page-1))) // the reply has 32 bits
	op := fs.begin(cancel, &in.InHeader)
	defer op.end()
	done, err := fs.cache.Copy(op, src, int64(in.OffIn), dst, int64(in.OffOut), n)
	if err != nil && done == 0 {
		return 0, fs.status("copy_file_range", in.NodeId, "", err)
	}
	return uint32(done), fuse.OK
}

// Fallocate refuses: SFTP can't reserve space. For posix_fallocate(3) the C library then writes zeros.
func (fs *filesystem) Fallocate(<-chan struct{}, *fuse.FallocateIn) fuse.Status {
	return fuse.ENOTSUP
}

// Ioctl refuses: a remote file has none, and ENOTTY says so.
func (fs *filesystem) Ioctl(<-chan struct{}, *fuse.IoctlIn, []byte, *fuse.IoctlOut, []byte) fuse.Status {
	return fuse.Status(syscall.ENOTTY)
}
