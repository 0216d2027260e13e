//go:build !race

package filedata

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// resident is how many bytes of mem the system has given so far.
func resident(t *testing.T, mem []byte) int {
	t.Helper()
	const page = 4 << 10
	in := make([]byte, len(mem)/page)
	if _, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(unsafe.SliceData(mem))), uintptr(len(mem)), uintptr(unsafe.Pointer(unsafe.SliceData(in)))); errno != 0 {
		t.Fatal(errno)
	}
	n := 0
	for _, flags := range in {
		n += int(flags&1) * page
	}
	return n
}

// The memory of a first small read is there before it, and the system gives more as a whole.
func TestTheFirstSmallReadWaitsForNoMemory(t *testing.T) {
	p := newPool(t, Options{})
	p.mu.Lock()
	there := p.slabs.arenas.idle[0]
	p.mu.Unlock()
	if n := resident(t, there.mem); n != arenaSize {
		t.Errorf("the system gave %d KiB of %d beforehand", n>>10, arenaSize>>10)
	}
	first := p.alloc(4<<10, false)
	defer first.unref()
	if first.slab.arena != there {
		t.Error("more memory was asked for")
	}
	for range arenaSize / slabSize {
		defer p.alloc(slabSize, false).unref()
	}
	whole := p.alloc(slabSize, false)
	defer whole.unref()
	if n := resident(t, whole.slab.arena.mem); n != arenaSize {
		t.Errorf("where much is read the system gave %d KiB of %d at once", n>>10, arenaSize>>10)
	}
}
