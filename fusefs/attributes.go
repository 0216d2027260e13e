package fusefs

import (
	"context"
	"math"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"sshmount/cache"
)

// GetAttr answers stat(2) and, with a handle, fstat(2).
func (fs *filesystem) GetAttr(cancel <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	n, st := fs.admit(&in.InHeader)
	if !st.Ok() {
		return st
	}
	var h *cache.Handle
	if in.Flags()&fuse.FUSE_GETATTR_FH != 0 {
		h, _ = fs.files.get(in.Fh())
	}
	op := fs.begin(cancel, &in.InHeader)
	defer op.end()
	a, ttl, err := fs.cache.Getattr(op, n, h)
	if err != nil {
		return fs.status("getattr", in.NodeId, "", err)
	}
	if !fs.attr(op, a, &out.Attr) {
		return fuse.EPERM
	}
	fs.forgetPages(op, n)
	out.SetTimeout(fs.trust(op, ttl, fs.opts.AttrTimeout))
	return fuse.OK
}

// SetAttr changes mode, owner, size and times. What the kernel does not mention
// (the other half of a chown, a time of UTIME_OMIT) stays as it is. It needs no
// forgetPages: where this reply tells another size, the kernel drops the pages itself.
func (fs *filesystem) SetAttr(cancel <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	n, st := fs.admit(&in.InHeader)
	if !st.Ok() {
		return st
	}
	var h *cache.Handle
	if fh, ok := in.GetFh(); ok {
		h, _ = fs.files.get(fh)
	}
	op := fs.begin(cancel, &in.InHeader)
	defer op.end()
	wish, err := fs.wish(op, in)
	if err != nil {
		return fs.status("setattr", in.NodeId, "", err)
	}
	a, ttl, err := fs.cache.Setattr(op, n, h, wish)
	if err != nil {
		return fs.status("setattr", in.NodeId, "", err)
	}
	if !fs.attr(op, a, &out.Attr) {
		return fuse.EPERM
	}
	out.SetTimeout(fs.trust(op, ttl, fs.opts.AttrTimeout))
	return fuse.OK
}

// listed is a list of the id alone; nil for nil.
func listed(id *uint32) []uint32 {
	if id == nil {
		return nil
	}
	return []uint32{*id}
}

// wish translates what the kernel wants set.
func (fs *filesystem) wish(op context.Context, in *fuse.SetAttrIn) (cache.SetAttr, error) {
	var s cache.SetAttr
	if mode, ok := in.GetMode(); ok {
		s.Mode = &mode
	}
	if uid, ok := in.GetUID(); ok {
		s.UID = &uid
	}
	if gid, ok := in.GetGID(); ok {
		s.GID = &gid
	}
	if m := fs.opts.IDMap; m != nil && (s.UID != nil || s.GID != nil) {
		fs.learn(op, listed(s.UID), listed(s.GID))
		var err error
		if s.UID, s.GID, err = m.ToRemote(s.UID, s.GID); err != nil {
			return s, err
		}
	}
	if size, ok := in.GetSize(); ok {
		if size > math.MaxInt64 {
			return s, syscall.EFBIG
		}
		s.Size = &size
	}
	if t, ok := in.GetATime(); ok {
		if in.Valid&fuse.FATTR_ATIME_NOW != 0 {
			t = fs.cache.ChangeTime()
		}
		s.Atime = &t
	}
	if t, ok := in.GetMTime(); ok {
		if in.Valid&fuse.FATTR_MTIME_NOW != 0 {
			t = fs.cache.ChangeTime()
		}
		s.Mtime = &t
	}
	return s, nil
}

// Access is asked only for a mount without default_permissions, by access(2) and chdir(2). Who may read and write there
// the server decides when it is done. Whether a file is a program its mode tells, as it does the kernel that runs it.
func (fs *filesystem) Access(cancel <-chan struct{}, in *fuse.AccessIn) fuse.Status {
	n, st := fs.admit(&in.InHeader)
	if !st.Ok() || in.Mask&fuse.X_OK == 0 {
		return st
	}
	op := fs.begin(cancel, &in.InHeader)
	defer op.end()
	a, err := fs.cache.Mode(op, n)
	if err != nil {
		return fs.status("access", in.NodeId, "", err)
	}
	var shown fuse.Attr
	if !fs.attr(op, a, &shown) {
		return fuse.EPERM
	}
	if shown.Mode&syscall.S_IFMT == syscall.S_IFREG && shown.Mode&0o111 == 0 {
		return fuse.EACCES
	}
	return fuse.OK
}

// StatFs shows the server's disk; where the server can't tell, one that no
// program finds too full to write to.
func (fs *filesystem) StatFs(cancel <-chan struct{}, in *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	n, st := fs.admit(in)
	if !st.Ok() {
		return st
	}
	op := fs.begin(cancel, in)
	defer op.end()
	s, err := fs.cache.Statfs(op, n)
	if err != nil {
		if errno, _ := errnoOf(err); errno != syscall.ENOSYS && errno != syscall.EOPNOTSUPP {
			return fs.status("statfs", in.NodeId, "", err)
		}
		const block, blocks, files = 4096, 1000 << 30 / 4096, 1_000_000_000
		*out = fuse.StatfsOut{
			Blocks: blocks, Bfree: blocks, Bavail: blocks, Files: files, Ffree: files,
			Bsize: block, Frsize: block, NameLen: maxName,
		}
		return fuse.OK
	}
	// Blocks are counted in Frsize. statfs(2) has no such field in many programs' eyes, so Bsize says the same.
	frsize := s.Frsize
	if frsize == 0 || frsize > math.MaxInt32 {
		frsize = 4096
	}
	names := s.Namemax
	if names == 0 || names > maxName {
		names = maxName
	}
	*out = fuse.StatfsOut{
		Blocks: s.Blocks, Bfree: s.Bfree, Bavail: s.Bavail, Files: s.Files, Ffree: s.Ffree,
		Bsize: uint32(frsize), Frsize: uint32(frsize), NameLen: uint32(names),
	}
	return fuse.OK
}
