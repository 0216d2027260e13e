package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// gcPercent is how much garbage may come together before it is collected, as a share of the heap, and headroom
	// how much beside that, in bytes.
	gcPercent = 40
	headroom  = 12 << 20
	// warm is how much memory the heap is given as soon as there is a mount, in bytes: for what lives in it and for what
	// may come together as garbage.
	warm = headroom + 8<<20
	// warmStep is how much of it is asked for at once, in bytes: nothing else of the process gets memory meanwhile.
	warmStep = 1 << 20
)

// tune makes the runtime of Go fit a process that serves a mount. What it returns must be kept alive.
func tune() (ballast []byte) {
	tuneScheduler()
	return tuneMemory()
}

// tuneMemory has the collector run after so many bytes of garbage as a mount can spare. The heap of a mount is small (the
// bytes of files are not in it), while each packet of SSH leaves one buffer behind: with a percentage alone the collector
// would run a hundred times a second and give memory back that is wanted again at once; and of a heap that has grown large
// with a million names the usual percentage would be a lot. Whoever set GOGC knows better.
//
// What it returns is memory that nobody touches, so that it takes none, and that the collector counts as in use.
func tuneMemory() (ballast []byte) {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	debug.SetGCPercent(gcPercent)
	return make([]byte, headroom*100/gcPercent)
}

// warmHeap gives the heap memory that was used before (see warmMemory), as much as tuneMemory has made room for. It takes
// the processor for a while, so it is called when the mount is there and nobody waits for a login any more.
func warmHeap() {
	// Each collection sets how much free memory the heap keeps: as much as was in use then, and a little. So there is one
	// that sees the ballast, and one that sees what is warmed beside it.
	runtime.GC()
	warmMemory(make([]byte, warm))
	runtime.GC()
}

// warmMemory has the system give all of b, as huge pages where it has such. What is used for the first time page by page costs
// more than all else that a small read takes, most of all in a virtual machine: there the reads after a mount took twice as
// long until each page of the heap had been used once.
func warmMemory(b []byte) {
	// All is advice: without it the heap becomes warm by and by.
	b = pages(b)
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE)
	for piece := range slices.Chunk(b, warmStep) {
		_ = unix.Madvise(piece, unix.MADV_POPULATE_WRITE)
	}
}

// pages is b without what does not fill a page.
func pages(b []byte) []byte {
	size := os.Getpagesize()
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) % uintptr(size))
	b = b[skip:]
	return b[:len(b)/size*size]
}

// tuneScheduler gives Go's scheduler one processor more than there are. A goroutine that waits in read(2) for the kernel's next
// request keeps the one it had, until a thread that looks for such takes it away: on a machine with two that thread ran three
// times for each request, and small reads took a third longer. Whoever set GOMAXPROCS knows better.
func tuneScheduler() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
}
