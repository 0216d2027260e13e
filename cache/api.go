// Package cache is what is known here of the remote side, and what is not yet
// there: a tree of names with attributes, listings, absent names, the bytes of
// files, and operations that the server has not answered. It answers what it
// can for sure, asks the server for the rest, and keeps the promises of
// freshness and durability. It knows nothing of FUSE and of SSH.
package cache

import (
	"context"
	"log/slog"
	"time"

	"sshmount/cache/filedata"
	"sshmount/sftpconn"
)

// Options of a cache. The zero value of a field means its default unless said otherwise.
type Options struct {
	Conn *sftpconn.Conn
	Root string // the remote directory as the user wrote it; "" is the login directory

	NoDirCache bool          // ask the server each time (dir_cache=no)
	Timeout    time.Duration // trust of attributes, listings and absent names (dcache_timeout); default 20 s
	MaxNames   int           // names kept beyond what the kernel holds (dcache_max_size); default 10,000

	ReadBudget, WriteBudget, PrefetchBudget int64 // bytes; defaults 64, 64 and 32 MiB
	NoPrefetch                              bool
	Async                                   bool
	SyncWrites                              bool
	SyncReads                               bool // no reading ahead (sync_readdir has no effect; sync_read)
	DirectIO                                bool // every open starts with an empty cache of bytes

	FollowSymlinks    bool
	TransformSymlinks bool // absolute targets become relative, wherever they lead
	FreeSymlinks      bool // no_contain_symlinks
	DisableHardlink   bool

	RescueDir string // where undeliverable bytes go
	Logger    *slog.Logger
	Notify    Notifier // may be nil
}

// Notifier is told what the kernel must forget. It is called from a goroutine of its own, with no lock held.
type Notifier interface {
	// ContentChanged: pages and attributes of the inode are out of date.
	ContentChanged(id uint64)
	// NameChanged: what the kernel knows of name in the directory is out of date.
	NameChanged(dir uint64, name string)
}

// Attr of a node, with the remote side's ids. Times are whole seconds.
type Attr struct {
	Ino      uint64
	Mode     uint32 // type and permission bits as in stat(2)
	Size     uint64
	UID, GID uint32
	Nlink    uint32
	Atime    int64 // seconds since 1970
	Mtime    int64
	Ctime    int64
}

// Found is an answer about a name: the node, its attributes, and for how long they may be trusted from now.
// Each Found with a Node counts as one reference of the kernel, given back by Forget.
type Found struct {
	Node *Node
	Attr Attr
	TTL  time.Duration
}

// SetAttr is a wish for attributes: nil leaves a thing as it is.
type SetAttr struct {
	Mode         *uint32 // permission bits
	UID, GID     *uint32 // remote ids
	Size         *uint64
	Atime, Mtime *time.Time
}

// Errors of this package wrap a syscall.Errno wherever a program needs one (errors.As); a context's end is context.Cause's error.

// New resolves the root and looks at it: it must be a directory.
func New(ctx context.Context, o Options) (*Cache, error) { panic("not built") }

// Close waits for nothing: unacknowledged bytes go to the rescue directory. See Sync.
func (c *Cache) Close() error { panic("not built") }

func (c *Cache) Root() *Node { panic("not built") }

// Owner is the owner of the login directory, which is how the remote user's ids are learnt.
func (c *Cache) Owner(ctx context.Context) (uid, gid uint32, err error) { panic("not built") }

// UserGroupNames asks for the names of remote ids ("" where unknown).
func (c *Cache) UserGroupNames(ctx context.Context, uids, gids []uint32) (users, groups []string, err error) {
	panic("not built")
}

// Node by its ID, for as long as the kernel holds references (and the root always); nil else.
func (c *Cache) Node(id uint64) *Node       { panic("not built") }
func (c *Cache) Forget(id uint64, n uint64) { panic("not built") }

// ID is the inode number, stable while the node is known. The root's is 1.
func (n *Node) ID() uint64 { panic("not built") }

// Lookup finds a name. ENOENT comes with a Found without Node whose TTL says how long the absence may be trusted.
func (c *Cache) Lookup(ctx context.Context, dir *Node, name string) (Found, error) {
	panic("not built")
}

// Getattr: h may be nil.
func (c *Cache) Getattr(ctx context.Context, n *Node, h *Handle) (Attr, time.Duration, error) {
	panic("not built")
}
func (c *Cache) Setattr(ctx context.Context, n *Node, h *Handle, s SetAttr) (Attr, time.Duration, error) {
	panic("not built")
}
func (c *Cache) Readlink(ctx context.Context, n *Node) (string, error) { panic("not built") }

func (c *Cache) Mkdir(ctx context.Context, dir *Node, name string, perm uint32) (Found, error) {
	panic("not built")
}
func (c *Cache) Symlink(ctx context.Context, dir *Node, name, target string) (Found, error) {
	panic("not built")
}
func (c *Cache) Link(ctx context.Context, n *Node, dir *Node, name string) (Found, error) {
	panic("not built")
}
func (c *Cache) Unlink(ctx context.Context, dir *Node, name string) error { panic("not built") }
func (c *Cache) Rmdir(ctx context.Context, dir *Node, name string) error  { panic("not built") }
func (c *Cache) Rename(ctx context.Context, dir *Node, name string, newdir *Node, newname string, noReplace bool) error {
	panic("not built")
}

// Open takes the flags of open(2) (O_TRUNC too). keep says that the kernel's pages of the file are still good.
func (c *Cache) Open(ctx context.Context, n *Node, flags uint32) (h *Handle, keep bool, err error) {
	panic("not built")
}

// Create makes a regular file (with O_EXCL only if it isn't there) and opens it. A Mknod is a Create and a Release.
func (c *Cache) Create(ctx context.Context, dir *Node, name string, flags, perm uint32) (Found, *Handle, error) {
	panic("not built")
}

// Handle is an open file.
func (h *Handle) Node() *Node { panic("not built") }

func (h *Handle) Read(ctx context.Context, off int64, n int) (filedata.View, error) {
	panic("not built")
}

// Write: with O_APPEND off is only what the kernel believes.
func (h *Handle) Write(ctx context.Context, p []byte, off int64) (int, error) { panic("not built") }

// Flush is for each close(2) of the handle; Fsync for fsync(2); Release when nobody has it any more.
func (h *Handle) Flush(ctx context.Context) error { panic("not built") }
func (h *Handle) Fsync(ctx context.Context) error { panic("not built") }
func (h *Handle) Release()                        { panic("not built") }

// Copy copies within the server; EOPNOTSUPP where it must be done by reading and writing.
func (c *Cache) Copy(ctx context.Context, src *Handle, srcOff int64, dst *Handle, dstOff int64, n int64) (int64, error) {
	panic("not built")
}

// OpenDir opens a listing.
func (c *Cache) OpenDir(ctx context.Context, n *Node) (*DirHandle, error) { panic("not built") }

// DirEntry is one name of a listing. Offsets are counted from 1; 0 is the beginning.
// "." and ".." are the first two entries.
type DirEntry struct {
	Name string
	Ino  uint64
	Mode uint32 // type bits
	Off  uint64 // where the next entry is
}

// Next gives the entry at off (0: the first), waiting for the listing to come that far; io.EOF at its end.
func (d *DirHandle) Next(ctx context.Context, off uint64) (DirEntry, error) { panic("not built") }

// Found gives an entry of Next the reference and attributes that READDIRPLUS hands out, with no question to the server.
// ok is false where the entry has no attributes to hand out (".", "..", a name gone meanwhile).
func (d *DirHandle) Found(e DirEntry) (f Found, ok bool) { panic("not built") }

// Rewind: the next Next(0) shows the directory as it is then (rewinddir). Called when the kernel reads from 0 again.
func (d *DirHandle) Rewind()  { panic("not built") }
func (d *DirHandle) Release() { panic("not built") }

// Fsyncdir waits for the operations on names in the directory.
func (c *Cache) Fsyncdir(ctx context.Context, n *Node) error { panic("not built") }

func (c *Cache) Statfs(ctx context.Context, n *Node) (sftpconn.StatVFS, error) { panic("not built") }

// Sync waits until nothing is unacknowledged, bytes or operations, and returns the errors not yet reported, joined.
func (c *Cache) Sync(ctx context.Context) error { panic("not built") }

// Status is what `sshmount status` tells of the cache.
type Status struct {
	Names         int
	OpenFiles     int
	CleanBytes    int64
	UnsavedBytes  int64
	UnsavedFiles  []UnsavedFile // at most 100
	UnsavedOps    int
	OldestUnsaved time.Time
	Errors        []string // not yet reported to a program
	Rescued       []string // files with rescued bytes, and why
	PrefetchHits  uint64
	PrefetchMiss  uint64
}

// UnsavedFile is a file with bytes that the server has not acknowledged.
type UnsavedFile struct {
	Path  string
	Bytes int64
}

func (c *Cache) Status() Status { panic("not built") }

type (
	Cache     struct{}
	Node      struct{}
	DirHandle struct{}
)
type Handle struct{}
