package fusefs

import (
	"sync"

	"github.com/hanwen/go-fuse/v2/fuse"

	"sshmount/cache"
)

// kernel is what notices are delivered to: *fuse.Server.
type kernel interface {
	InodeNotify(node uint64, off, length int64) fuse.Status
	EntryNotify(parent uint64, name string) fuse.Status
}

// notifier tells the kernel what to forget. A notice waits in the kernel for as long as a request holds the inode or the directory, so
// none may be sent by the goroutine of a request. The cache collects notices and delivers them from two goroutines of its own: a notice
// about an inode never holds up one about a name.
type notifier struct {
	mu     sync.Mutex     // guards kernel, and orders under.Add before the Wait of close; no other lock is taken under it
	kernel kernel         // nil before start and after close
	under  sync.WaitGroup // notices on their way to the kernel
}

var _ cache.Notifier = (*notifier)(nil)

// ContentChanged implements cache.Notifier.
func (n *notifier) ContentChanged(id uint64) {
	n.tell(func(k kernel) { k.InodeNotify(id, 0, -1) })
}

// NameChanged implements cache.Notifier.
func (n *notifier) NameChanged(dir uint64, name string) {
	n.tell(func(k kernel) { k.EntryNotify(dir, name) })
}

// tell delivers a notice, and waits for as long as the kernel does. Before start the kernel knows nothing, and after close the mount has
// ended: then the notice is dropped. The kernel's status is of no use: ENOENT says that it did not know the thing, others that the mount
// is gone.
func (n *notifier) tell(notice func(kernel)) {
	n.mu.Lock()
	k := n.kernel
	if k != nil {
		n.under.Add(1)
	}
	n.mu.Unlock()
	if k == nil {
		return
	}
	defer n.under.Done()
	notice(k)
}

// start has notices delivered to k.
func (n *notifier) start(k kernel) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.kernel = k
}

// close ends the delivery, and waits for notices that are on their way: until the mount is gone, or the requests that they wait for are
// answered.
func (n *notifier) close() {
	n.mu.Lock()
	n.kernel = nil
	n.mu.Unlock()
	n.under.Wait()
}
