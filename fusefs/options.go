package fusefs

import (
	"cmp"
	"context"
	"log/slog"
	"time"
)

// Options of a mount.
type Options struct {
	Mountpoint string // an existing directory, by a path without symbolic links
	FsName     string // what mount(8) shows as the device; default: the subtype
	Subtype    string // mount(8) shows the type fuse.SUBTYPE; default: "sshmount"

	ReadOnly           bool     // nothing can be changed through the mount; mount(8) calls it ro
	AllowOther         bool     // every user of this machine may use the mount
	AllowRoot          bool     // the mounting user and root may; it counts where AllowOther is set, too
	DefaultPermissions bool     // the kernel checks the permission bits that are shown
	Suid, Dev          bool     // obey setuid bits and device nodes; only root may ask for it
	NoExec, NoAtime    bool     // no program is run from the mount; reading a file changes no time of its
	NoSymfollow        bool     // no symbolic link is followed
	Sync, DirSync      bool     // the flags sync and dirsync of mount(8): the kernel has every write, or change of a name, stored at once
	AutoUnmount        bool     // a helper takes the mount away when the process dies, however it does
	MountOptions       []string // further options, handed to the kernel as they are ("context=…")
	MaxRead            int      // bytes of the largest READ; 0: the kernel's most (1 MiB)
	MaxReadAhead       int      // bytes that the kernel reads ahead, at most; 0: the kernel's default (128 KiB)

	// How long the kernel trusts attributes, names and absent names, at most; nil: as long as the cache does.
	AttrTimeout, EntryTimeout, NegativeTimeout *time.Duration

	KernelCache   bool // never drop a file's pages at open, changed or not
	DirectIO      bool // no pages at all: each read and write comes here
	NoReaddirplus bool // list names without their attributes

	UID, GID *uint32  // shown as the owner and the group of everything; nil: those of the file
	Umask    *uint32  // all permission bits but these are shown; nil: the server's bits
	FileMask *uint32  // takes the place of Umask for all but directories
	DirMask  *uint32  // takes the place of Umask for directories
	IDMap    IDMapper // nil: ids as they are

	Debug          bool         // every request and every answer goes to the log
	SingleThreaded bool         // one request at a time
	Logger         *slog.Logger // nil: slog's default
}

// setDefaults fills in the fields whose default is not their zero value.
func (o *Options) setDefaults() {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	o.Subtype = cmp.Or(o.Subtype, "sshmount")
	o.FsName = cmp.Or(o.FsName, o.Subtype)
}

// IDMapper translates user and group ids between the two sides. Its methods are called from several goroutines, and must not wait.
type IDMapper interface {
	// ToLocal says how a remote owner and group are shown here.
	ToLocal(uid, gid uint32) (uint32, uint32)
	// ToRemote translates the halves of a chown; nil halves stay nil.
	// EPERM where an id has no counterpart and the map says so.
	ToRemote(uid, gid *uint32) (*uint32, *uint32, error)
}

// shows is implemented by an IDMapper that refuses to show files of owners it does not know.
type shows interface {
	Shows(uid, gid uint32) bool
}

// learner is implemented by an IDMapper that has to ask the server for the names of owners.
type learner interface {
	// Learn asks for those of the ids that are not known yet, all in one request. Where it fails they stay unknown.
	Learn(ctx context.Context, uids, gids []uint32) error
}

// bound is ttl, which the cache promises, or limit, which the options allow, whichever is shorter.
func bound(ttl time.Duration, limit *time.Duration) time.Duration {
	if limit != nil && *limit < ttl {
		ttl = *limit
	}
	return max(ttl, 0)
}
