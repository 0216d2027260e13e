package filedata

import (
	"sync"
	"sync/atomic"
)

// buffer is counted memory. It is written only by its first holder, and by
// nobody once there is a second.
type buffer struct {
	refs  atomic.Int32
	data  []byte
	pool  *Pool
	slab  *slab // nil: data is the heap's
	slot  int
	dirty bool // which budget it counts against; guarded by Pool.mu
}

var bufferStructs = sync.Pool{New: func() any { return new(buffer) }}

// alloc makes a buffer of at least n bytes, which are slabSize at most, with one holder. It does not look at the budget.
func (p *Pool) alloc(n int, dirty bool) *buffer {
	class := classFor(n)
	size := classSize(class)
	b := bufferStructs.Get().(*buffer)
	b.pool, b.dirty = p, dirty
	p.mu.Lock()
	for !p.slabs.has(class) {
		p.mu.Unlock()
		more := newArena() // without the lock: the system may take its time
		p.mu.Lock()
		p.slabs.arenas.add(more)
	}
	b.slab, b.slot = p.slabs.get(class)
	p.countLocked(dirty, int64(size))
	p.mu.Unlock()
	b.data = b.slab.mem[b.slot*size : (b.slot+1)*size : (b.slot+1)*size]
	b.refs.Store(1)
	return b
}

// wrap makes a clean buffer, with one holder, of memory from the heap.
func (p *Pool) wrap(data []byte) *buffer {
	b := bufferStructs.Get().(*buffer)
	b.pool, b.dirty, b.slab, b.data = p, false, nil, data
	p.mu.Lock()
	p.countLocked(false, int64(len(data)))
	p.mu.Unlock()
	b.refs.Store(1)
	return b
}

// ref adds a holder.
func (b *buffer) ref() { b.refs.Add(1) }

// unref takes a holder away. The last one gives the memory back, for which writers may wait.
func (b *buffer) unref() {
	if n := b.refs.Add(-1); n > 0 {
		return
	} else if n < 0 {
		panic("filedata: a buffer was released twice")
	}
	p := b.pool
	p.mu.Lock()
	p.countLocked(b.dirty, -int64(len(b.data)))
	if b.slab != nil {
		p.slabs.put(b.slab, b.slot)
	}
	if p.closed {
		p.slabs.arenas.release()
	}
	p.mu.Unlock()
	b.data, b.slab, b.pool = nil, nil, nil
	bufferStructs.Put(b)
}

// acknowledged moves a buffer from the budget for writing to that for reading.
func (b *buffer) acknowledged() {
	p := b.pool
	p.mu.Lock()
	if b.dirty {
		b.dirty = false
		p.countLocked(true, -int64(len(b.data)))
		p.countLocked(false, int64(len(b.data)))
	}
	p.mu.Unlock()
}
