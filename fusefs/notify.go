package fusefs

import (
	"sync"

	"github.com/hanwen/go-fuse/v2/fuse"

	"sshmount/cache"
)

// maxNotices bounds each queue. Who has more to say waits: a notice that is lost would leave stale data behind.
const maxNotices = 4096

// kernel is what notices are delivered to.
type kernel interface {
	InodeNotify(node uint64, off, length int64) fuse.Status
	EntryNotify(parent uint64, name string) fuse.Status
}

// dirName is a name in a directory, by the directory's node id.
type dirName struct {
	dir  uint64
	name string
}

// notifier tells the kernel what to forget. The kernel may take as long as a
// request that holds the inode or the directory, so inodes and names have a
// queue and a goroutine each: neither holds up the other, nor any request.
type notifier struct {
	inodes queue[uint64]
	names  queue[dirName]

	mu    sync.Mutex // guards ended, and that nothing is added to under once it is set
	ended bool
	under sync.WaitGroup // deliveries under way
}

var _ cache.Notifier = (*notifier)(nil)

// ContentChanged implements cache.Notifier.
func (n *notifier) ContentChanged(id uint64) { n.inodes.put(id) }

// NameChanged implements cache.Notifier.
func (n *notifier) NameChanged(dir uint64, name string) { n.names.put(dirName{dir, name}) }

// start begins to deliver; before it the kernel knows nothing, and notices are dropped.
func (n *notifier) start(k kernel) {
	n.inodes.start()
	n.names.start()
	// Statuses are of no use: ENOENT says that the kernel did not know the thing, others that the mount is gone.
	n.begin(func() { n.inodes.deliver(func(id uint64) { k.InodeNotify(id, 0, -1) }) })
	n.begin(func() { n.names.deliver(func(e dirName) { k.EntryNotify(e.dir, e.name) }) })
}

// begin runs a delivery in the background; false after close.
func (n *notifier) begin(deliver func()) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.ended {
		n.under.Go(deliver)
	}
	return !n.ended
}

// close waits for a delivery that is under way: until the mount is gone, or the requests that it waits behind are answered.
func (n *notifier) close() {
	n.mu.Lock()
	n.ended = true
	n.mu.Unlock()
	n.inodes.close()
	n.names.close()
	n.under.Wait()
}

// queue is a bounded set: what is told twice before it is delivered is delivered once.
type queue[K comparable] struct {
	mu      sync.Mutex // guards all below; no other lock is taken under it
	changed *sync.Cond // anything below changed; nil until start
	pending map[K]struct{}
	closed  bool
}

func (q *queue[K]) start() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.changed = sync.NewCond(&q.mu)
	q.pending = make(map[K]struct{})
}

// put adds k; it waits while the queue is full. Before start and after close it does nothing.
func (q *queue[K]) put(k K) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.changed == nil {
		return
	}
	for len(q.pending) >= maxNotices && !q.closed {
		q.changed.Wait()
	}
	if !q.closed {
		q.pending[k] = struct{}{}
		q.changed.Broadcast()
	}
}

func (q *queue[K]) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	if q.changed != nil {
		q.changed.Broadcast()
	}
}

// take waits for what is pending and empties the queue; nil after close.
func (q *queue[K]) take() map[K]struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.pending) == 0 && !q.closed {
		q.changed.Wait()
	}
	if q.closed {
		return nil
	}
	batch := q.pending
	q.pending = make(map[K]struct{})
	q.changed.Broadcast()
	return batch
}

// deliver hands on what is put, until close.
func (q *queue[K]) deliver(to func(K)) {
	for batch := q.take(); batch != nil; batch = q.take() {
		for k := range batch {
			if q.isClosed() {
				return
			}
			to(k)
		}
	}
}

func (q *queue[K]) isClosed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}
