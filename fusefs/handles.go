package fusefs

import (
	"maps"
	"slices"
	"sync"
)

// table holds open handles by the numbers that the kernel has for them. A number
// is never used twice, so a request that comes too late can't meet another file.
type table[T any] struct {
	mu   sync.RWMutex // guards all below; no other lock is taken under it
	open map[uint64]T
	last uint64
}

// put enters a handle, and returns its number.
func (t *table[T]) put(h T) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == nil {
		t.open = make(map[uint64]T)
	}
	t.last++
	t.open[t.last] = h
	return t.last
}

// get finds a handle by its number.
func (t *table[T]) get(fh uint64) (T, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	h, ok := t.open[fh]
	return h, ok
}

// take is get, and takes the handle out.
func (t *table[T]) take(fh uint64) (T, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h, ok := t.open[fh]
	delete(t.open, fh)
	return h, ok
}

// drain takes all handles out: the kernel sends no RELEASE for what is open when a mount is aborted.
func (t *table[T]) drain() []T {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := slices.Collect(maps.Values(t.open))
	t.open = nil
	return all
}
