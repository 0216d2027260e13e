package fusefs

import (
	"context"
	"errors"
	"io"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"sshmount/cache"
)

// dirHandle is an open directory.
type dirHandle struct {
	*cache.DirHandle

	mu     sync.Mutex // guards what follows
	read   bool       // it was listed from the beginning before
	owners uint64     // the owners of the entries up to this offset were asked for
}

// at prepares for reading at off. Whoever reads from the beginning sees the directory as it is now, not as it was when it was opened:
// after rewinddir(3), and where a program had it open for other uses first.
func (d *dirHandle) at(off uint64) {
	if off != 0 {
		return
	}
	d.mu.Lock()
	again := d.read
	d.read = true
	d.owners = 0
	d.mu.Unlock()
	if again {
		d.Rewind()
	} else {
		d.Begin()
	}
}

// learnOwners calls learn with the owners of e and of the entries behind it, many at once, unless e's were asked for already.
func (d *dirHandle) learnOwners(e cache.DirEntry, learn func(uids, gids []uint32)) {
	d.mu.Lock()
	known := e.Off <= d.owners
	d.mu.Unlock()
	if known {
		return
	}
	uids, gids, to := d.Owners(e)
	learn(uids, gids)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.owners = max(d.owners, to)
}

// OpenDir opens a directory for listing.
func (fs *filesystem) OpenDir(cancel <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	n, st := fs.admit(&in.InHeader)
	if !st.Ok() {
		return st
	}
	op := fs.begin(cancel, &in.InHeader)
	defer op.end()
	d, err := fs.cache.OpenDir(op, n)
	if err != nil {
		return fs.status("opendir", in.NodeId, "", err)
	}
	out.Fh = fs.dirs.put(&dirHandle{DirHandle: d})
	return fuse.OK
}

// ReadDir lists names.
func (fs *filesystem) ReadDir(cancel <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	return fs.list(cancel, in, "readdir", func(_ context.Context, _ *dirHandle, e cache.DirEntry) bool {
		return out.AddDirEntry(kernelEntry(e))
	})
}

// ReadDirPlus lists names with attributes and references. A reference is taken when the entry has found room in the reply, as the kernel
// gives back only those that it gets.
func (fs *filesystem) ReadDirPlus(cancel <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	return fs.list(cancel, in, "readdirplus", func(op context.Context, d *dirHandle, e cache.DirEntry) bool {
		if fs.learner != nil {
			d.learnOwners(e, func(uids, gids []uint32) { fs.learn(op, uids, gids) })
		}
		entry := out.AddDirLookupEntry(kernelEntry(e))
		if entry == nil {
			return false
		}
		if f, ok := d.Found(e); ok && fs.knownEntry(op, f, entry).Ok() {
			out.FixMode(f.Attr.Mode)
		}
		return true
	})
}

func kernelEntry(e cache.DirEntry) fuse.DirEntry {
	return fuse.DirEntry{Name: e.Name, Ino: e.Ino, Mode: e.Mode, Off: e.Off}
}

// list adds entries until the reply is full (add says false) or the listing ends. what names the request in the log. An error behind some
// entries is left to the next request: these are good, and their references are taken.
func (fs *filesystem) list(cancel <-chan struct{}, in *fuse.ReadIn, what string, add func(context.Context, *dirHandle, cache.DirEntry) bool) fuse.Status {
	d, ok := fs.dirs.get(in.Fh)
	if !ok {
		return fuse.EBADF
	}
	d.at(in.Offset)
	op := fs.begin(cancel, &in.InHeader)
	defer op.end()
	for off, some := in.Offset, false; ; some = true {
		e, err := d.Next(op, off)
		switch {
		case errors.Is(err, io.EOF):
			return fuse.OK
		case err != nil && some:
			return fuse.OK
		case err != nil:
			st := fs.status(what, in.NodeId, "", err)
			if st == fuse.ENOENT {
				// The C library takes that for the end of the directory: who lists it would believe that there is no more in it.
				st = fuse.Status(syscall.ESTALE)
			}
			return st
		}
		if !add(op, d, e) {
			return fuse.OK
		}
		off = e.Off
	}
}

// ReleaseDir ends a listing.
func (fs *filesystem) ReleaseDir(in *fuse.ReleaseIn) {
	if d, ok := fs.dirs.take(in.Fh); ok {
		d.Release()
	}
}

// FsyncDir answers fsync(2) of a directory.
func (fs *filesystem) FsyncDir(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	n, st := fs.node(in.NodeId)
	if !st.Ok() {
		return st
	}
	op := fs.begin(cancel, &in.InHeader)
	defer op.end()
	return fs.status("fsyncdir", in.NodeId, "", fs.cache.Fsyncdir(op, n))
}
