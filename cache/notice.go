package cache

import "sync"

// notice is what the kernel must forget: the pages of an inode, or, where there is a name, that name in the directory.
type notice struct {
	id   uint64
	name string
}

// notices are those of one kind that the Notifier was not given yet. A goroutine gives them, as the Notifier may wait for the kernel, and the
// kernel for somebody who holds a lock here. Each kind has its own, so that names don't wait for inodes. It ends when nothing is left to
// give, and Close does not wait for it.
type notices struct {
	mu      sync.Mutex // guards the rest; a leaf, which may be taken with Cache.mu held
	pending map[notice]struct{}
	busy    bool // the goroutine runs
}

// notifyName tells the kernel soon that what it knows of a name is out of date. It never waits.
func (c *Cache) notifyName(dir uint64, name string) { c.notify(&c.names, notice{dir, name}) }

// notifyContent tells the kernel soon that pages and attributes of an inode are out of date. It never waits.
func (c *Cache) notifyContent(id uint64) { c.notify(&c.contents, notice{id: id}) }

// notify adds a notice, and starts the goroutine where it does not run.
func (c *Cache) notify(q *notices, n notice) {
	if c.o.Notify == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.pending == nil {
		q.pending = map[notice]struct{}{}
	}
	q.pending[n] = struct{}{}
	if !q.busy {
		q.busy = true
		go c.deliver(q)
	}
}

// deliver is the goroutine of q: it gives notices until there are none.
func (c *Cache) deliver(q *notices) {
	for {
		q.mu.Lock()
		batch := q.pending
		q.pending = nil
		q.busy = len(batch) > 0
		q.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		for n := range batch {
			if n.name == "" {
				c.o.Notify.ContentChanged(n.id)
			} else {
				c.o.Notify.NameChanged(n.id, n.name)
			}
		}
	}
}
