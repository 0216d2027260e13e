package fusefs

import (
	"cmp"
	"context"
	"log/slog"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"sshmount/cache"
)

// filesystem answers the kernel. The embedded one answers ENOSYS to what is not
// implemented here (extended attributes, SEEK_DATA, statx, and file locks, which the
// kernel then keeps by itself): the kernel does without, and asks no more.
type filesystem struct {
	fuse.RawFileSystem
	cache   *cache.Cache
	opts    Options
	learner learner // opts.IDMap, where that has to ask for owners; else nil
	owner   uint32  // the user who made the mount, for AllowRoot
	log     *slog.Logger
	watch   *watcher
	notices *notifier
	server  kernel // set by Init, before the first request

	files table[*cache.Handle]
	dirs  table[*dirHandle]
	later postponed
}

func newFilesystem(c *cache.Cache, o Options, owner uint32, w *watcher) *filesystem {
	if o.AllowRoot {
		// What the kernel trusts it shows to everybody; so it has to ask for each caller.
		none := time.Duration(0)
		o.AttrTimeout, o.EntryTimeout, o.NegativeTimeout = &none, &none, &none
	}
	asks, _ := o.IDMap.(learner)
	return &filesystem{
		RawFileSystem: fuse.NewDefaultRawFileSystem(),
		cache:         c,
		opts:          o,
		learner:       asks,
		owner:         owner,
		log:           o.Logger,
		watch:         w,
	}
}

// Init is called by go-fuse before the first request.
func (fs *filesystem) Init(s *fuse.Server) { fs.server = s }

// String names the filesystem where the options don't.
func (fs *filesystem) String() string { return "sshmount" }

// releaseAll gives back what is open when the kernel is gone: it sends no RELEASE for an aborted mount.
func (fs *filesystem) releaseAll() {
	for _, h := range fs.files.drain() {
		h.Release()
	}
	fs.later.end()
	for _, d := range fs.dirs.drain() {
		d.Release()
	}
}

// refused says whether AllowRoot keeps the caller out. To the kernel a mount is for
// everybody or for one user, so this one is made for everybody, and others are refused
// here. Requests on what is open already pass: whoever has opened it was let in.
func (fs *filesystem) refused(in *fuse.InHeader) bool {
	return fs.opts.AllowRoot && in.Uid != 0 && in.Uid != fs.owner
}

// node finds the node that a request is about. There is one, unless the kernel has forgotten it already.
func (fs *filesystem) node(id uint64) (*cache.Node, fuse.Status) {
	n := fs.cache.Node(id)
	if n == nil {
		return nil, fuse.Status(syscall.ESTALE)
	}
	return n, fuse.OK
}

// admit begins a request: it refuses callers whom AllowRoot keeps out, and finds the node.
func (fs *filesystem) admit(in *fuse.InHeader) (*cache.Node, fuse.Status) {
	if fs.refused(in) {
		return nil, fuse.EACCES
	}
	return fs.node(in.NodeId)
}

// attr translates attributes, once the owner is known by name. False: the owner may not be shown.
func (fs *filesystem) attr(op context.Context, a cache.Attr, out *fuse.Attr) bool {
	fs.learnOwner(op, a)
	return fs.shown(a, out)
}

// learnOwner is learn for the owner of one file.
func (fs *filesystem) learnOwner(op context.Context, a cache.Attr) {
	if fs.learner != nil {
		fs.learn(op, []uint32{a.UID}, []uint32{a.GID})
	}
}

// learn has the map ask the server for the names of owners that it does not know yet, while the program waits. Owners whose names can't
// be learnt are shown by their numbers.
func (fs *filesystem) learn(op context.Context, uids, gids []uint32) {
	if fs.learner == nil {
		return
	}
	if err := fs.learner.Learn(op, uids, gids); err != nil && op.Err() == nil {
		fs.log.Debug("owners are shown by their numbers", "error", err)
	}
}

// trust is how long the kernel may keep attributes: no time at all where the request was given up before the owner's name was learnt, as
// the number that is shown instead is right for this answer only.
func (fs *filesystem) trust(op context.Context, ttl time.Duration, limit *time.Duration) time.Duration {
	if fs.learner != nil && op.Err() != nil {
		return 0
	}
	return bound(ttl, limit)
}

// shown is attr without learning: what the map does not know stays a number.
func (fs *filesystem) shown(a cache.Attr, out *fuse.Attr) bool {
	uid, gid := a.UID, a.GID
	if m := fs.opts.IDMap; m != nil {
		if s, ok := m.(shows); ok && !s.Shows(uid, gid) {
			return false
		}
		uid, gid = m.ToLocal(uid, gid)
	}
	if fs.opts.UID != nil {
		uid = *fs.opts.UID
	}
	if fs.opts.GID != nil {
		gid = *fs.opts.GID
	}
	mode := a.Mode
	mask := fs.opts.FileMask
	if mode&syscall.S_IFMT == syscall.S_IFDIR {
		mask = fs.opts.DirMask
	}
	if mask = cmp.Or(mask, fs.opts.Umask); mask != nil {
		mode = mode&syscall.S_IFMT | 0o777&^*mask
	}
	*out = fuse.Attr{
		Ino:     a.Ino,
		Size:    a.Size,
		Blocks:  a.Size/512 + min(a.Size%512, 1),
		Atime:   uint64(a.Atime),
		Mtime:   uint64(a.Mtime),
		Ctime:   uint64(a.Ctime),
		Mode:    mode,
		Nlink:   a.Nlink,
		Owner:   fuse.Owner{Uid: uid, Gid: gid},
		Blksize: 4096,
	}
	return true
}

// entry answers with a node, and hands its reference on to the kernel. Where the owner may not be shown the answer is EPERM, and the
// reference goes back to the cache.
func (fs *filesystem) entry(op context.Context, f cache.Found, out *fuse.EntryOut) fuse.Status {
	fs.learnOwner(op, f.Attr)
	return fs.knownEntry(op, f, out)
}

// knownEntry is entry without learning.
func (fs *filesystem) knownEntry(op context.Context, f cache.Found, out *fuse.EntryOut) fuse.Status {
	if !fs.shown(f.Attr, &out.Attr) {
		fs.cache.Forget(f.Node.ID(), 1)
		*out = fuse.EntryOut{}
		return fuse.EPERM
	}
	out.NodeId = f.Node.ID()
	out.SetEntryTimeout(bound(f.TTL, fs.opts.EntryTimeout))
	out.SetAttrTimeout(fs.trust(op, f.AttrTTL, fs.opts.AttrTimeout))
	return fuse.OK
}

// newEntry answers a request that makes a name: with an entry, or with err.
func (fs *filesystem) newEntry(op context.Context, what string, in *fuse.InHeader, name string, f cache.Found, err error, out *fuse.EntryOut) fuse.Status {
	if err != nil {
		return fs.status(what, in.NodeId, name, err)
	}
	return fs.entry(op, f, out)
}
