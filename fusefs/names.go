package fusefs

import (
	"errors"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// Lookup finds a name. An absent name is answered as an entry without a node, so that the kernel remembers it.
func (fs *filesystem) Lookup(cancel <-chan struct{}, in *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	dir, st := fs.admit(in)
	if !st.Ok() {
		return st
	}
	op := fs.begin(cancel, in)
	defer op.end()
	f, err := fs.cache.Lookup(op, dir, name)
	if err == nil {
		fs.forgetPages(op, f.Node)
		return fs.entry(op, f, out)
	}
	if errors.Is(err, syscall.ENOENT) {
		fs.later.absent(in)
		if ttl := bound(f.TTL, fs.opts.NegativeTimeout); ttl > 0 {
			out.SetEntryTimeout(ttl)
			return fuse.OK
		}
	}
	return fs.status("lookup", in.NodeId, name, err)
}

// Forget gives references back.
func (fs *filesystem) Forget(id, n uint64) { fs.cache.Forget(id, n) }

// Readlink gives a link's target.
func (fs *filesystem) Readlink(cancel <-chan struct{}, in *fuse.InHeader) ([]byte, fuse.Status) {
	n, st := fs.admit(in)
	if !st.Ok() {
		return nil, st
	}
	op := fs.begin(cancel, in)
	defer op.end()
	target, err := fs.cache.Readlink(op, n)
	if errors.Is(err, syscall.EINVAL) {
		// It was a link when the kernel looked it up, and isn't one now. After ESTALE it looks again.
		return nil, fs.later.answered(in, fuse.Status(syscall.ESTALE))
	}
	if err != nil {
		return nil, fs.later.answered(in, fs.status("readlink", in.NodeId, "", err))
	}
	return []byte(target), fuse.OK
}

// Mkdir makes a directory. The kernel has applied the caller's umask, here and in all that follow.
func (fs *filesystem) Mkdir(cancel <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	dir, st := fs.admit(&in.InHeader)
	if !st.Ok() {
		return st
	}
	op := fs.begin(cancel, &in.InHeader)
	defer op.end()
	f, err := fs.cache.Mkdir(op, dir, name, in.Mode&0o7777)
	return fs.newEntry(op, "mkdir", &in.InHeader, name, f, err, out)
}

// Mknod makes regular files. SFTP has no request for the other kinds; EPERM is what mknod(2) has for a filesystem without them.
func (fs *filesystem) Mknod(cancel <-chan struct{}, in *fuse.MknodIn, name string, out *fuse.EntryOut) fuse.Status {
	dir, st := fs.admit(&in.InHeader)
	if !st.Ok() {
		return st
	}
	if kind := in.Mode & syscall.S_IFMT; kind != 0 && kind != syscall.S_IFREG {
		return fuse.EPERM
	}
	op := fs.begin(cancel, &in.InHeader)
	defer op.end()
	f, h, err := fs.cache.Create(op, dir, name, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_EXCL, in.Mode&0o7777)
	if err == nil {
		h.Release()
	}
	return fs.newEntry(op, "mknod", &in.InHeader, name, f, err, out)
}

// Symlink makes a link to target.
func (fs *filesystem) Symlink(cancel <-chan struct{}, in *fuse.InHeader, target, name string, out *fuse.EntryOut) fuse.Status {
	dir, st := fs.admit(in)
	if !st.Ok() {
		return st
	}
	op := fs.begin(cancel, in)
	defer op.end()
	f, err := fs.cache.Symlink(op, dir, name, target)
	return fs.newEntry(op, "symlink", in, name, f, err, out)
}

// Link gives a file one more name.
func (fs *filesystem) Link(cancel <-chan struct{}, in *fuse.LinkIn, name string, out *fuse.EntryOut) fuse.Status {
	dir, st := fs.admit(&in.InHeader)
	if !st.Ok() {
		return st
	}
	n, st := fs.node(in.Oldnodeid)
	if !st.Ok() {
		return st
	}
	op := fs.begin(cancel, &in.InHeader)
	defer op.end()
	f, err := fs.cache.Link(op, n, dir, name)
	return fs.newEntry(op, "link", &in.InHeader, name, f, err, out)
}

// Unlink removes a name that is no directory.
func (fs *filesystem) Unlink(cancel <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	dir, st := fs.admit(in)
	if !st.Ok() {
		return st
	}
	op := fs.begin(cancel, in)
	defer op.end()
	return fs.status("unlink", in.NodeId, name, fs.cache.Unlink(op, dir, name))
}

// Rmdir removes an empty directory.
func (fs *filesystem) Rmdir(cancel <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	dir, st := fs.admit(in)
	if !st.Ok() {
		return st
	}
	op := fs.begin(cancel, in)
	defer op.end()
	return fs.status("rmdir", in.NodeId, name, fs.cache.Rmdir(op, dir, name))
}

// Rename moves a name. SFTP can't exchange two names or leave a whiteout, and to try with several requests would not be atomic.
func (fs *filesystem) Rename(cancel <-chan struct{}, in *fuse.RenameIn, name, newname string) fuse.Status {
	dir, st := fs.admit(&in.InHeader)
	if !st.Ok() {
		return st
	}
	newdir, st := fs.node(in.Newdir)
	if !st.Ok() {
		return st
	}
	if in.Flags&^unix.RENAME_NOREPLACE != 0 {
		return fuse.EINVAL
	}
	op := fs.begin(cancel, &in.InHeader)
	defer op.end()
	err := fs.cache.Rename(op, dir, name, newdir, newname, in.Flags&unix.RENAME_NOREPLACE != 0)
	return fs.status("rename", in.NodeId, name, err)
}
