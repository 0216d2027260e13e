package fusefs

import (
	"context"
	"log/slog"
	"time"
)

// Options of a mount.
type Options struct {
	Mountpoint string // an existing directory, by a path without symbolic links
	FsName     string // first column of mount(8); default the subtype
	Subtype    string // default "sshmount": the type is then "fuse.sshmount"

	ReadOnly           bool     // nothing can be changed through the mount; mount(8) calls it ro
	AllowOther         bool     // every user of this machine may use the mount
	AllowRoot          bool     // the mounting user and root may; it counts where AllowOther is set, too
	DefaultPermissions bool     // the kernel checks the permission bits that are shown
	Suid, Dev          bool     // obey setuid bits and device nodes; only root may ask for it
	NoExec, NoAtime    bool     // no program is run from the mount; reading a file changes no time of its
	NoSymfollow        bool     // no symbolic link is followed
	Sync, DirSync      bool     // the kernel's flags of these names: every write, and every change of a name, is to be stored at once
	AutoUnmount        bool     // a helper takes the mount away when the process dies, however it does
	MountOptions       []string // further options, words for the kernel as they are ("context=…")
	MaxRead            int      // bytes of the largest READ; 0: as large as the kernel makes them (1 MiB)
	MaxReadAhead       int      // bytes that the kernel reads ahead, at most; 0: as many as it does (128 KiB)

	// Upper bounds of what the kernel trusts by itself; nil: as long as the cache does.
	AttrTimeout, EntryTimeout, NegativeTimeout *time.Duration

	KernelCache   bool // never drop a file's pages at open, changed or not
	DirectIO      bool // no pages at all: each read and write comes here
	NoReaddirplus bool // list names without their attributes

	UID, GID *uint32  // shown as everybody's owner and group
	Umask    *uint32  // the permission bits shown are all but these; nil: the server's
	FileMask *uint32  // the same for all but directories, before Umask
	DirMask  *uint32  // the same for directories, before Umask
	IDMap    IDMapper // nil: ids as they are

	Debug          bool // every request and reply goes to the log
	SingleThreaded bool // one request at a time
	Logger         *slog.Logger
}

// IDMapper translates ids between the two sides, and waits for nobody. Its methods are called from several goroutines.
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

// learner is implemented by an IDMapper that has to ask the server for the owners that it has not met.
type learner interface {
	// Learn asks for those of the ids that are not known yet, all at once. Where it fails they stay unknown.
	Learn(ctx context.Context, uids, gids []uint32) error
}

// bound is the shorter of what the cache promises and what the options allow.
func bound(ttl time.Duration, limit *time.Duration) time.Duration {
	if limit != nil && *limit < ttl {
		ttl = *limit
	}
	return max(ttl, 0)
}
