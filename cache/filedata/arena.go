package filedata

import "math/bits"

// arenaSize is how much memory is asked of the system at a time, in bytes: what most processors can map as one huge page. Page
// by page a buffer's first use takes many times as long as its second, most of all in a virtual machine.
const arenaSize = 2 << 20

// keptArenas is how many arenas stay while the pool does: small reads that come once in a while find memory that was used before.
const keptArenas = 1

const allSlabs = 1<<(arenaSize/slabSize) - 1

// arena is a piece of memory cut into slabs.
type arena struct {
	mem   []byte
	slabs [arenaSize / slabSize]slab
	free  uint // a bit for each free slab
	at    int  // where it is in arenas.open, while some but not all slabs are free
}

func newArena() *arena {
	a := &arena{mem: mapMemory(arenaSize), free: allSlabs}
	for i := range a.slabs {
		a.slabs[i].arena = a
		a.slabs[i].mem = a.mem[i*slabSize : (i+1)*slabSize : (i+1)*slabSize]
	}
	return a
}

// arenas is all memory of which not every slab is in use.
type arenas struct {
	open   []*arena // some of their slabs are free
	idle   []*arena // all are; kept, because the system takes longer to give a page than to copy it
	excess int      // the least length of idle since the last trim: so many were not needed
}

func (m *arenas) has() bool { return len(m.open)+len(m.idle) > 0 }

// add takes memory in that is free.
func (m *arenas) add(a *arena) { m.idle = append(m.idle, a) }

// get takes a slab, from the arena that has the fewest left: so that others fall idle.
func (m *arenas) get() *slab {
	var a *arena
	for _, o := range m.open {
		if a == nil || bits.OnesCount(o.free) < bits.OnesCount(a.free) {
			a = o
		}
	}
	if a == nil {
		last := len(m.idle) - 1
		a = m.idle[last]
		m.idle[last] = nil
		m.idle = m.idle[:last]
		m.excess = min(m.excess, last)
		a.at = len(m.open)
		m.open = append(m.open, a)
	}
	i := bits.TrailingZeros(a.free)
	a.free &^= 1 << i
	if a.free == 0 {
		m.shut(a)
	}
	return &a.slabs[i]
}

// put gives a slab back.
func (m *arenas) put(s *slab) {
	a := s.arena
	if a.free == 0 {
		a.at = len(m.open)
		m.open = append(m.open, a)
	}
	for i := range a.slabs {
		if &a.slabs[i] == s {
			a.free |= 1 << i
		}
	}
	if a.free == allSlabs {
		m.shut(a)
		m.idle = append(m.idle, a)
	}
}

// shut takes a out of open.
func (m *arenas) shut(a *arena) {
	last := len(m.open) - 1
	m.open[a.at] = m.open[last]
	m.open[a.at].at = a.at
	m.open[last] = nil
	m.open = m.open[:last]
}

// trim gives to the system what nobody needed since the last trim, but for what is kept.
func (m *arenas) trim() {
	m.leave(len(m.idle) - max(0, m.excess-keptArenas))
}

// release gives all idle arenas to the system.
func (m *arenas) release() { m.leave(0) }

// leave keeps n of the idle arenas.
func (m *arenas) leave(n int) {
	for _, a := range m.idle[n:] {
		unmapMemory(a.mem)
	}
	clear(m.idle[n:])
	m.idle = m.idle[:n]
	m.excess = n
}
