package cache

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/sync/singleflight"

	"sshmount/cache/filedata"
	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
)

// Options of a cache. The zero value of a field means its default unless said otherwise.
type Options struct {
	Conn *sftpconn.Conn
	Root string // the remote directory as the user wrote it; "" is the login directory

	NoDirCache bool          // ask the server each time (dir_cache=no)
	Timeout    time.Duration // trust of attributes, listings and absent names (dcache_timeout); default 20 s
	NoAbsence  bool          // absences are not kept: a name that was not there is asked for again each time
	MaxNames   int           // nodes kept that nobody holds (dcache_max_size); default 10,000

	ReadBudget, WriteBudget, PrefetchBudget int64 // bytes; defaults 64, 64 and 32 MiB
	NoPrefetch                              bool  // nothing is fetched ahead but the bytes of open files (prefetch=no)
	Async                                   bool  // changes are answered before the server has (-o async)
	SyncWrites                              bool  // every write waits for the server (sshfs_sync)
	SyncReads                               bool  // no reading ahead
	DirectIO                                bool  // every open drops the bytes held here

	FollowSymlinks    bool   // the server follows links: programs see what they lead to (follow_symlinks)
	TransformSymlinks bool   // with FreeSymlinks: absolute targets inside the root become relative all the same (transform_symlinks)
	FreeSymlinks      bool   // targets are handed on as they are (no_contain_symlinks)
	SeenAt            string // the absolute path at which programs on this machine see the root; "" where that is not known
	DisableHardlink   bool   // link(2) is refused (disable_hardlink)

	RescueDir string // the directory for bytes that can't be delivered; with "" they are lost, and the log says so
	Logger    *slog.Logger
	Notify    Notifier // may be nil
}

// Notifier is told what the kernel must forget, and may wait for the kernel. Each method is called with no lock held, by a goroutine
// of its own that serves no request of the kernel.
type Notifier interface {
	// ContentChanged says that what the kernel has of an inode's pages and attributes is out of date.
	ContentChanged(id uint64)
	// NameChanged says that what the kernel knows of a name in a directory is out of date.
	NameChanged(dir uint64, name string)
}

const (
	defaultTimeout  = 20 * time.Second
	defaultMaxNames = 10_000
	defaultPrefetch = 32 << 20

	maxName = 255  // bytes in a name, as Linux has it (NAME_MAX)
	maxPath = 4095 // bytes in a path on the server (PATH_MAX less the NUL)
)

// Cache is the cached remote directory.
type Cache struct {
	o         Options
	conn      *sftpconn.Conn
	log       *slog.Logger
	timeout   time.Duration // 0 with NoDirCache
	rootDir   string        // absolute path of the root on the server, without a trailing slash but for "/"
	epoch     time.Time     // what now counts from
	pool      *filedata.Pool
	queue     *queue
	rescue    *rescue
	errs      reports
	names     notices   // of names
	contents  notices   // of pages and attributes
	warnLink  sync.Once // one line in the log about links that lead out of the mount is enough,
	warnTimes sync.Once // one about times that links can't have,
	warnSizes sync.Once // and one about files whose size the server does not tell

	clock      atomic.Int64 // by how many nanoseconds the server's clock is ahead of ours; 0 until clockKnown (clock.go)
	clockKnown atomic.Bool

	ctx    context.Context // ends with Close: for what no program waits for
	cancel context.CancelFunc
	wg     sync.WaitGroup // goroutines that end with ctx, and that Close waits for; Add only with mu held and not closed

	mu     sync.Mutex // guards the tree and what follows; see the package comment
	closed bool

	nodes     map[uint64]*Node              // by id
	idle      *simplelru.LRU[uint64, *Node] // nodes that nobody holds
	root      *Node                         // set once, and read without mu
	lastID    uint64                        // the last inode number that was given
	moves     uint64                        // counts the renames entered in the tree
	dirMoves  uint64                        // counts those of directories: paths below these lead to other files then
	changedAt int64                         // when a file was last changed from here, or had such a change acknowledged (Cache.now)
	lists     *simplelru.LRU[uint64, *Node] // directories with a listing, oldest use first
	listed    int                           // names in those listings

	openFiles int                // handles that are open
	opened    uint64             // how many handles were made
	kept      map[*Node]struct{} // the nodes with a kept remote file
	owner     owner

	walk   walk
	scan   scan
	guess  guesses
	room   fileRoom
	scarce int64 // nothing is asked for on a guess before this (Cache.now)

	failed    []*failedChange // changes that have failed after they were answered, oldest first
	explained explanation

	explaining singleflight.Group // by node: one search at a time for the reason of its refusals (whyLost); has a lock of its own
}

// New makes a cache. It asks the server for the root, which must be a directory.
func New(ctx context.Context, o Options) (*Cache, error) {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.MaxNames <= 0 {
		o.MaxNames = defaultMaxNames
	}
	if o.PrefetchBudget <= 0 {
		o.PrefetchBudget = defaultPrefetch
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Cache{
		o: o, conn: o.Conn, log: o.Logger, timeout: o.Timeout, epoch: time.Now(),
		nodes: map[uint64]*Node{}, lastID: 1, kept: map[*Node]struct{}{},
		room: fileRoom{queued: map[*Handle]struct{}{}},
	}
	if o.NoDirCache {
		c.timeout = 0
	}
	// The library's own limit is out of reach, so that it evicts nothing: a node must not be
	// forgotten in the middle of another change of the tree.
	c.idle, _ = simplelru.NewLRU[uint64, *Node](1<<31-1, nil)
	c.lists, _ = simplelru.NewLRU[uint64, *Node](1<<31-1, nil)
	home := make(chan struct{})
	go func() { // in the same flight as the root; it ends with ctx
		defer close(home)
		if o.Async {
			c.learnHome(ctx)
		}
	}()
	dir, attr, err := resolveRoot(ctx, c.conn, o.Root)
	<-home
	if err != nil {
		return nil, err
	}
	c.rootDir = dir
	c.conn.KeepIn(dir)
	c.ctx, c.cancel = context.WithCancel(sftpconn.Patient(context.Background()))
	c.queue = newQueue(c)
	c.rescue = &rescue{dir: o.RescueDir, log: c.log, sync: (*os.File).Sync}
	c.pool = filedata.NewPool(filedata.Options{
		ReadBudget: o.ReadBudget, WriteBudget: o.WriteBudget, SyncWrites: o.SyncWrites,
		NoReadAhead: o.SyncReads, Lost: c.lost, Refused: c.notStored, TimesRefused: c.timesRefused, Logger: c.log,
	})
	c.root = &Node{id: 1, refs: 1, dir: &dirState{children: map[string]*Node{}}}
	c.nodes[1] = c.root
	c.mu.Lock()
	c.keepAttr(c.root, attr)
	c.mu.Unlock()
	return c, nil
}

// now is the time since the cache was made, in nanoseconds, on the monotonic clock.
func (c *Cache) now() int64 { return int64(time.Since(c.epoch)) }

// background runs f in a goroutine that Close waits for; f must end when its ctx does. False where the cache is closed, and f is not run.
func (c *Cache) background(f func(ctx context.Context)) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.wg.Go(func() { f(c.ctx) })
	return true
}

// Sync waits until the server has answered all changes, and acknowledged all bytes, from before the call, and returns the errors that were not
// reported yet, joined.
func (c *Cache) Sync(ctx context.Context) error {
	if err := c.queue.drain(ctx); err != nil {
		return withErrno("sync", "", err)
	}
	if err := c.pool.Flushed(ctx); err != nil {
		return withErrno("sync", "", err)
	}
	if err := c.conn.Closed(ctx); err != nil {
		return withErrno("sync", "", err)
	}
	return c.errs.take()
}

// Close ends all work without waiting for the server: unacknowledged bytes go to the rescue directory, and changes that were not sent are
// reported in the log. It returns the errors that were not reported yet, joined. For an end without loss call Sync before.
func (c *Cache) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	for _, n := range c.nodes {
		c.dropKept(n)
	}
	if c.scan.sweeper != nil {
		c.scan.sweeper.Stop()
	}
	c.mu.Unlock()
	c.cancel()
	c.pool.Close()
	c.wg.Wait()
	c.rescue.wait()
	return c.errs.take()
}

// Root is the node of the directory that is mounted. It is there for as long as the cache.
func (c *Cache) Root() *Node { return c.root }

// Statfs asks how full the file system of a node is; of a node that has no name any more, or of which the server can't tell, that of the
// root. The error is EOPNOTSUPP where the server can't tell of that either.
func (c *Cache) Statfs(ctx context.Context, n *Node) (sftpconn.StatVFS, error) {
	p, err := c.pathWait(ctx, n)
	if err != nil {
		p = c.rootDir
	}
	v, err := c.conn.Statvfs(ctx, p)
	if p != c.rootDir && untold(err) {
		p = c.rootDir
		v, err = c.conn.Statvfs(ctx, p)
	}
	switch {
	case untold(err):
		return v, fail("statfs", p, syscall.EOPNOTSUPP, err)
	case err != nil:
		return v, withErrno("statfs", p, err)
	}
	return v, nil
}

// untold says whether the server has answered a question about a file system without an answer. Some look on their own disk for what they
// serve from elsewhere, and say 'no such file'.
func untold(err error) bool {
	return refusal(err) != nil && !hasCode(err, session.StatusPermissionDenied)
}
