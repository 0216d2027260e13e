package cache

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/sync/singleflight"

	"sshmount/cache/filedata"
	"sshmount/sftpconn"
)

// Options of a cache. The zero value of a field means its default unless said otherwise.
type Options struct {
	Conn *sftpconn.Conn
	Root string // the remote directory as the user wrote it; "" is the login directory

	NoDirCache bool          // ask the server each time (dir_cache=no)
	Timeout    time.Duration // trust of attributes, listings and absent names (dcache_timeout); default 20 s
	NoAbsence  bool          // what was not there is asked for again each time
	MaxNames   int           // nodes kept beyond what the kernel holds (dcache_max_size); default 10,000

	ReadBudget, WriteBudget, PrefetchBudget int64 // bytes; defaults 64, 64 and 32 MiB
	NoPrefetch                              bool  // nothing is fetched ahead but the bytes of open files (prefetch=no)
	Async                                   bool  // changes are answered before the server has (-o async)
	SyncWrites                              bool  // every write waits for the server (sshfs_sync)
	SyncReads                               bool  // no reading ahead
	DirectIO                                bool  // every open starts without cached bytes

	FollowSymlinks    bool   // the server follows links: programs see what they lead to (follow_symlinks)
	TransformSymlinks bool   // absolute targets inside the root become relative also with FreeSymlinks (transform_symlinks)
	FreeSymlinks      bool   // targets are handed on as they are (no_contain_symlinks)
	SeenAt            string // absolute path at which programs of this machine see the root; "" where it is not known
	DisableHardlink   bool   // link(2) is refused (disable_hardlink)

	RescueDir string // where undeliverable bytes go; "" loses them, with a line in the log
	Logger    *slog.Logger
	Notify    Notifier // may be nil
}

// Notifier is told what the kernel must forget. It is called with no lock held, from goroutines
// that serve no request of the kernel, one for each kind.
type Notifier interface {
	// ContentChanged: pages and attributes of the inode are out of date.
	ContentChanged(id uint64)
	// NameChanged: what the kernel knows of name in the directory is out of date.
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
	names     notices // that have changed
	contents  notices
	warnLink  sync.Once // one line about links that lead out of the mount is enough
	warnTimes sync.Once // and one about times that links can't have
	warnSizes sync.Once // and one about files whose size the server does not tell

	clock      atomic.Int64 // see ahead; 0 until clockKnown
	clockKnown atomic.Bool

	ctx    context.Context // ends with Close: for requests that no program waits for
	cancel context.CancelFunc
	wg     sync.WaitGroup // goroutines on ctx

	mu     sync.Mutex // guards the tree and what follows; see the package comment
	closed bool

	nodes     map[uint64]*Node
	idle      *simplelru.LRU[uint64, *Node] // nodes that only the cache holds
	root      *Node                         // never changed
	lastID    uint64
	moves     uint64                        // renames entered in the tree
	dirMoves  uint64                        // those of directories: paths below them lead to other files then
	changedAt int64                         // when a file was last changed from here, or had such a change acknowledged (Cache.now)
	lists     *simplelru.LRU[uint64, *Node] // directories with a listing, oldest use first
	listed    int                           // names in those listings

	openFiles int
	kept      map[*Node]struct{} // those that have the remote file of a closed handle
	owner     owner

	walk   walk
	scan   scan
	guess  guesses
	room   fileRoom
	scarce int64 // nothing is asked for on a guess until then (Cache.now)

	failed    []*failedChange // changes that failed after they were answered, oldest first
	explained explanation

	explaining singleflight.Group // has a lock of its own; by node: at most one search at a time for the reason of its refusals (whyLost)
}

// New resolves the root and looks at it: it must be a directory.
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
	// With the library's own limit out of reach the limits are ours alone: eviction must not
	// touch a node in the middle of another change of the tree.
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

// now is the time since the cache began, in nanoseconds, on the monotonic clock.
func (c *Cache) now() int64 { return int64(time.Since(c.epoch)) }

// background runs f in a goroutine that Close waits for. f must end when its ctx does. False where the cache is closed.
func (c *Cache) background(f func(ctx context.Context)) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.wg.Go(func() { f(c.ctx) })
	return true
}

// Sync waits until the server has answered for all bytes and changes of before the call, and returns the errors not yet reported, joined.
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

// Close ends all work without waiting for the server: unacknowledged bytes go to the rescue
// directory, changes not yet sent are reported in the log. It returns the errors not yet reported, joined. See Sync for an end
// without loss.
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

// Statfs asks how full the server's file system is; EOPNOTSUPP where the server can't tell. For a node that has no name any more it is
// the file system of the root.
func (c *Cache) Statfs(ctx context.Context, n *Node) (sftpconn.StatVFS, error) {
	p, err := c.pathWait(ctx, n)
	if err != nil {
		p = c.rootDir
	}
	v, err := c.conn.Statvfs(ctx, p)
	if err != nil {
		return v, withErrno("statfs", p, err)
	}
	return v, nil
}
