//go:build !race

package filedata

import "golang.org/x/sys/unix"

// mapMemory gets zeroed memory from the system, all of it at once: to get it page by page when it is first written takes
// many times as long, most of all in a virtual machine. It panics where there is none, as Go's own allocator does.
func mapMemory(n int) []byte {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_POPULATE)
	if err != nil {
		panic("filedata: no memory for a buffer: " + err.Error())
	}
	return b
}

func unmapMemory(b []byte) {
	if err := unix.Munmap(b); err != nil {
		panic("filedata: a buffer's memory can't be given back: " + err.Error())
	}
}
