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
	h, keep, err := fs.cache.Open(op, n, in.Flags&^fuse.FMODE_EXEC)
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
			fs.forgetPages(op, n) // the look-up that follows must not: a notice that goes out beside its answer has the kernel doubt that
		}
		if !lastTry && fs.later.put(&in.InHeader, in.Flags, h, keep) {
			return fuse.Status(syscall.ESTALE)
		}
	}
	fs.opened(h, in.Flags, keep, out)
	return fuse.OK
}

// forgetSize makes the kernel ask for the attributes of a file again: the reply
// to an open has no room for them, and a file that has grown would be cut at the
// size of which the kernel was told before. It is given from within the request: it
// names no pages, so it waits for no lock, and it is about a file that the waiting
// program holds on to.
func (fs *filesystem) forgetSize(id uint64) {
	fs.server.InodeNotify(id, -1, 0)
}

// forgetPages has the kernel forget the pages of a file that was seen to change, before a reply tells of a new size. Like forgetSize it
// is given for a request: one that looks at attributes or opens, for which the kernel holds no page. It waits for reads of the file that are
// under way, which need a goroutine of their own for their answers, and the request does not wait for it any longer than that takes
// on a line that is well.
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
	dir, st := fs.admitNames(&in.InHeader, name)
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

// opened numbers a handle. keep: the kernel's pages of the file are still good; it drops them otherwise.
func (fs *filesystem) opened(h *cache.Handle, flags uint32, keep bool, out *fuse.OpenOut) {
	out.Fh = fs.files.put(h)
	switch {
	case fs.opts.DirectIO, h.BypassPages():
		out.OpenFlags |= fuse.FOPEN_DIRECT_IO
	case keep || fs.opts.KernelCache:
		out.OpenFlags |= fuse.FOPEN_KEEP_CACHE
	}
	if flags&syscall.O_ACCMODE == syscall.O_RDONLY {
		out.OpenFlags |= fuse.FOPEN_NOFLUSH // has written nothing, so its close has nothing to wait for
	}
}

// Tmpfile: a file without a name can't be made over SFTP. Programs know EOPNOTSUPP, and make a named one.
func (fs *filesystem) Tmpfile(<-chan struct{}, *fuse.CreateIn, *fuse.CreateOut) fuse.Status {
	return fuse.ENOTSUP
}

// Read answers with the cache's own blocks, uncopied. They are given back when the kernel has them.
func (fs *filesystem) Read(cancel <-chan struct{}, in *fuse.ReadIn, _ []byte) (fuse.ReadResult, fuse.Status) {
	h, ok := fs.files.get(in.Fh)
	if !ok {
		return nil, fuse.EBADF
	}
	if in.Offset > math.MaxInt64 {
		return nil, fuse.EINVAL
	}
	op := fs.begin(cancel, &in.InHeader)
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
	case in.WriteFlags&fuse.WRITE_CACHE != 0: // a page of a mapping has its place, whatever the flags say
		write = h.WriteBack
	case in.Flags&syscall.O_APPEND != 0: // fcntl(2) may have changed them since the open
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

// Release ends a handle when its last descriptor and mapping are gone.
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

// Fallocate: SFTP can't reserve space. The C library then writes zeros where a program insists.
func (fs *filesystem) Fallocate(<-chan struct{}, *fuse.FallocateIn) fuse.Status {
	return fuse.ENOTSUP
}

// Ioctl: a remote file has none; ENOTTY is what programs take for that.
func (fs *filesystem) Ioctl(<-chan struct{}, *fuse.IoctlIn, []byte, *fuse.IoctlOut, []byte) fuse.Status {
	return fuse.Status(syscall.ENOTTY)
}
