// Package fusefs is the kernel's side of the mount.
package fusefs

import (
	"log/slog"
	"time"

	"sshmount/cache"
)

// Options of a mount.
type Options struct {
	Mountpoint                                 string
	FsName                                     string // first column of mount(8)
	Subtype                                    string // default "sshmount": type "fuse.sshmount"
	ReadOnly                                   bool
	AllowOther, AllowRoot, DefaultPermissions  bool
	Suid, Dev, NoExec, NoAtime, Sync, DirSync  bool
	NonEmpty                                   bool
	MaxRead                                    int            // bytes; 0: the default
	AttrTimeout, EntryTimeout, NegativeTimeout *time.Duration // upper bounds of what the kernel trusts; nil: the cache's own
	KernelCache                                bool           // never drop pages at open
	DirectIO                                   bool
	NoReaddirplus                              bool
	MountOptions                               []string // further ones for the kernel, as they are
	UID, GID                                   *uint32  // shown as everybody's owner
	Umask                                      *uint32  // permission bits shown are all but these
	IDMap                                      IDMapper // nil: ids as they are
	Debug                                      bool
	SingleThreaded                             bool
	Logger                                     *slog.Logger
}

// IDMapper translates ids between the two sides.
type IDMapper interface {
	ToLocal(uid, gid uint32) (uint32, uint32)
	// ToRemote: EPERM where an id has no counterpart and the map says so.
	ToRemote(uid, gid *uint32) (*uint32, *uint32, error)
}

// Mount makes the mount and begins to serve; it returns when the kernel has had its first answer.
func Mount(newCache func(cache.Notifier) (*cache.Cache, error), o Options) (*Mounted, error) {
	panic("not built")
}

// Mounted is a mount that is being served.
type Mounted struct{}

// Wait returns when the mount is gone, by whomever.
func (m *Mounted) Wait() { panic("not built") }

// Unmount asks the kernel to end the mount; lazy detaches it even while it is in use.
func (m *Mounted) Unmount(lazy bool) error { panic("not built") }
