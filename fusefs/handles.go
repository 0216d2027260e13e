package fusefs

import "sync"

// table numbers open handles for the kernel. Numbers are not used twice, so
// that a request that comes too late cannot meet another file.
type table[T any] struct {
	mu   sync.RWMutex // guards all below; no other lock is taken under it
	open map[uint64]T
	last uint64
}

// put gives a handle its number.
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

func (t *table[T]) get(fh uint64) (T, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	h, ok := t.open[fh]
	return h, ok
}

// take is get and the end of the number.
func (t *table[T]) take(fh uint64) (T, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h, ok := t.open[fh]
	delete(t.open, fh)
	return h, ok
}

// drain takes all: the kernel sends no RELEASE for what is open when a mount is aborted.
func (t *table[T]) drain() []T {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]T, 0, len(t.open))
	for _, h := range t.open {
		all = append(all, h)
	}
	t.open = nil
	return all
}
