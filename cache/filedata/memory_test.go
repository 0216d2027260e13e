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

func TestTheFirstSmallReadWaitsForLittleMemory(t *testing.T) {
	p := newPool(t, Options{})
	first := p.alloc(4<<10, false)
	defer first.unref()
	first.data[0] = 1
	if n := resident(t, first.slab.arena.mem); n > 16<<10 {
		t.Errorf("%d KiB for 4", n>>10)
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
