package filedata

import "math/bits"

// Buffers come in powers of two from one page to one slab, cut from slabs.
const (
	pageSize = 4 << 10
	slabSize = 256 << 10
	classes  = 7 // 4, 8 … 256 KiB
)

// slab is a part of an arena, cut into equal slots.
type slab struct {
	arena *arena
	mem   []byte
	class int
	free  uint64 // a bit for each free slot
	// Neighbours in slabs.partial of its class, where some but not all slots are free.
	prev, next *slab
}

// slabs hands out memory. The memory lies outside the heap of Go: the
// collector lets the heap grow to twice of what lives in it, and would let
// rubbish grow to the size of these buffers before it looks.
// Guarded by Pool.mu.
type slabs struct {
	partial [classes]*slab
	arenas  arenas
}

// classFor is the smallest class of at least n bytes; n ≤ slabSize.
func classFor(n int) int {
	if n <= pageSize {
		return 0
	}
	return bits.Len(uint(n-1)) - bits.Len(uint(pageSize-1))
}

func classSize(class int) int { return pageSize << class }

func allSlots(class int) uint64 {
	n := slabSize / classSize(class)
	if n == 64 {
		return ^uint64(0)
	}
	return 1<<n - 1
}

// has says whether a slot can be had without more memory.
func (m *slabs) has(class int) bool { return m.partial[class] != nil || m.arenas.has() }

// get takes a slot. There must be one.
func (m *slabs) get(class int) (s *slab, slot int) {
	s = m.partial[class]
	if s == nil {
		s = m.arenas.get()
		s.class, s.free = class, allSlots(class)
		m.link(s)
	}
	slot = bits.TrailingZeros64(s.free)
	s.free &^= 1 << slot
	if s.free == 0 {
		m.unlink(s)
	}
	return s, slot
}

// put gives a slot back.
func (m *slabs) put(s *slab, slot int) {
	if s.free == 0 {
		m.link(s)
	}
	s.free |= 1 << slot
	if s.free != allSlots(s.class) {
		return
	}
	m.unlink(s)
	m.arenas.put(s)
}

func (m *slabs) link(s *slab) {
	s.prev, s.next = nil, m.partial[s.class]
	if s.next != nil {
		s.next.prev = s
	}
	m.partial[s.class] = s
}

func (m *slabs) unlink(s *slab) {
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		m.partial[s.class] = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	}
	s.prev, s.next = nil, nil
}
