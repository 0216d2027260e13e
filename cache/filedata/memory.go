//go:build !race

package filedata

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapMemory gets n zeroed bytes from the system that begin at a multiple of n, a power of two: as huge pages where it has such,
// and all of them at once. It panics where there is none, as Go's own allocator does.
func mapMemory(n int) []byte {
	p, err := unix.MmapPtr(-1, 0, nil, uintptr(2*n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		panic("filedata: no memory for a buffer: " + err.Error())
	}
	before := -uintptr(p) % uintptr(n)
	start := unsafe.Add(p, before)
	unmap(p, before)
	unmap(unsafe.Add(start, n), uintptr(n)-before)
	b := unsafe.Slice((*byte)(start), n)
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE) // without huge pages it is slower, no more
	_ = unix.Madvise(b, unix.MADV_POPULATE_WRITE)
	return b
}

func unmapMemory(b []byte) { unmap(unsafe.Pointer(unsafe.SliceData(b)), uintptr(len(b))) }

func unmap(p unsafe.Pointer, n uintptr) {
	if n == 0 {
		return
	}
	if err := unix.MunmapPtr(p, n); err != nil {
		panic("filedata: a buffer's memory can't be given back: " + err.Error())
	}
}
