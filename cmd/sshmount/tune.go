package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// gcPercent is how much garbage may come together before it is collected, as a share of the heap, and headroom
	// how much beside that, in bytes.
	gcPercent = 40
	headroom  = 12 << 20
	// hugeHeap is how much of the heap is to lie in huge pages, in bytes, and warm how much of that the system is asked for as
	// soon as there is a mount: for what lives in the heap and for what may come together as garbage.
	hugeHeap = 32 << 20
	warm     = headroom + 8<<20
	// warmStep is how much of it is asked for at once, in bytes: nothing else of the process gets memory meanwhile.
	warmStep = 1 << 20
	// hugePage is what most processors can map as one page, in bytes.
	hugePage = 2 << 20
)

// heap is the memory that tune has set up for a process that serves a mount.
type heap struct {
	// ballast is memory that nobody touches, so that it takes none, and that the collector counts as in use.
	ballast []byte
	// start is the address where the heap begins, 0 where Go's settings are the user's. What is allocated comes to lie here:
	// the runtime takes the lowest address that is free. It is no pointer, because what is there comes and goes.
	start uintptr
}

// tune makes the runtime of Go fit a process that serves a mount. It is called before all that allocates; what it returns must
// be kept alive.
func tune() *heap {
	tuneScheduler()
	return tuneMemory()
}

// tuneMemory sets how much garbage may come together before the collector runs. The heap of a mount is small (the bytes of
// files are not in it), while each SSH packet leaves a buffer behind: by a percentage alone the collector would run a hundred
// times a second, and give memory back that is needed again at once. And of a heap that has grown large with a million names
// the usual percentage would be a lot. A user who has set GOGC knows better.
//
// The heap lies in huge pages, where the system has such. What is used for the first time page by page costs more than all else
// that a small read takes, most of all in a virtual machine: there the reads after a mount took twice as long until each page
// of the heap had been used once.
func tuneMemory() *heap {
	if os.Getenv("GOGC") != "" {
		return &heap{}
	}
	debug.SetGCPercent(gcPercent)
	huge := make([]byte, hugeHeap)
	h := &heap{ballast: make([]byte, headroom*100/gcPercent)}
	h.start = uintptr(unsafe.Pointer(unsafe.SliceData(huge))) &^ (hugePage - 1)
	advise(h.start, hugeHeap, unix.MADV_HUGEPAGE)
	// A collection sets how much free memory the heap keeps: as much as was in use then, and a little. This one sees both, and
	// frees the first.
	runtime.KeepAlive(huge)
	huge = nil
	runtime.GC()
	return h
}

// warmUp has the system give the heap its first memory, as much as tuneMemory has made room for. It takes the processor for a
// while, so it is called when the mount is there and nobody waits for a login any more.
func (h *heap) warmUp() {
	if h.start == 0 {
		return
	}
	for at := h.start; at < h.start+warm; at += warmStep {
		advise(at, warmStep, unix.MADV_POPULATE_WRITE)
	}
}

// advise tells the system how n bytes at an address of the heap are used. That changes nothing of what is there. A system that
// doesn't know the advice is slower, no more.
func advise(at, n uintptr, advice int) {
	_, _, _ = unix.Syscall(unix.SYS_MADVISE, at, n, uintptr(advice))
}

// tuneScheduler gives Go's scheduler one processor more than there are. A goroutine that waits in read(2) for the kernel's next
// request keeps the one it had, until the runtime's monitor thread (sysmon) takes it away: on a machine with two processors that
// thread ran three times for each request, and small reads took a third longer. Whoever set GOMAXPROCS knows better.
func tuneScheduler() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
	slowWatch()
}

// watchSlack is how late the monitor thread may wake, in nanoseconds. It is also what a goroutine may wait longer for a processor,
// where all are with goroutines that wait for the kernel: as answers do that have come from the server meanwhile. With 1 ms both
// processors of a machine stood still for a twentieth of the time in which a file was read at no distance.
const watchSlack = 400_000

// slowWatch has the monitor thread look for such processors some 2,000 times a second, in place of 15,000 times: so often it looks
// while requests come, which cost a tenth to a fifth of the processor time of this process. It is the first thread that the runtime
// starts. The system lets only who has CAP_SYS_NICE do so; without, all is as it is with any program in Go.
func slowWatch() {
	self, first := os.Getpid(), 0
	threads, _ := os.ReadDir("/proc/self/task")
	for _, t := range threads {
		if tid, err := strconv.Atoi(t.Name()); err == nil && tid > self && (first == 0 || tid < first) {
			first = tid
		}
	}
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/timerslack_ns", first), []byte(strconv.Itoa(watchSlack)), 0)
}

const (
	// near is the round trip below which the kernel's requests may be what reading costs, and not the line.
	near = time.Millisecond / 2
	// nearAhead is how much the kernel asks for at a time there, in bytes. Beside 128 KiB a single reader got a tenth more; with
	// 512 KiB several at once had less.
	nearAhead = 384 << 10
)

// readAhead has the kernel ask for more at once where the server is near. Elsewhere that would bring nothing, as what a program
// reads on is read ahead here, and make whoever touches a page of a mapped file wait for more (the kernel gives that up after a
// hundred pages that no reading ahead had brought). Only root can.
func (m *mount) readAhead() {
	rtt := m.conn.RTT()
	if os.Geteuid() != 0 || m.set.Mount.MaxReadAhead > 0 || rtt == 0 || rtt > near {
		return
	}
	if err := m.fuse.ReadAhead(nearAhead); err != nil {
		m.log.Debug("the kernel reads ahead as far as it does by itself", "error", err)
	}
}
