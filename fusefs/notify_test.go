package fusefs

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// busyKernel takes a notice only when it is let.
type busyKernel struct {
	let  chan struct{}
	busy atomic.Int32 // how many notices have come to it

	mu     sync.Mutex // guards notice
	notice []string
}

func (k *busyKernel) note(s string) fuse.Status {
	k.busy.Add(1)
	<-k.let
	k.mu.Lock()
	defer k.mu.Unlock()
	k.notice = append(k.notice, s)
	return fuse.OK
}

func (k *busyKernel) InodeNotify(node uint64, off, length int64) fuse.Status {
	return k.note(fmt.Sprint("inode ", node, " ", off, " ", length))
}

func (k *busyKernel) EntryNotify(parent uint64, name string) fuse.Status {
	return k.note(fmt.Sprint("entry ", parent, " ", name))
}

func (k *busyKernel) all() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Sorted(slices.Values(k.notice))
}

func TestNoticesReachTheKernelWithoutHoldingAnybodyUp(t *testing.T) {
	k := &busyKernel{let: make(chan struct{})}
	n := &notifier{}
	n.ContentChanged(7) // before the mount there is nobody to tell
	n.start(k)
	for range 1000 {
		n.ContentChanged(3)
		n.NameChanged(1, "a")
	}
	close(k.let)
	waitFor(t, "both notices", func() bool {
		all := k.all()
		return slices.Contains(all, "inode 3 0 -1") && slices.Contains(all, "entry 1 a")
	})
	n.close()
	if all := k.all(); len(all) > 6 || slices.Contains(all, "inode 7 0 -1") {
		t.Errorf("the kernel was told %q, more than what was needed", all)
	}
}

func TestNoticesWaitForRoomAndEndWithTheMount(t *testing.T) {
	k := &busyKernel{let: make(chan struct{})}
	n := &notifier{}
	n.start(k)
	told := make(chan int, 1)
	go func() {
		for i := range 3 * maxNotices {
			n.ContentChanged(uint64(i))
			select {
			case <-told:
			default:
			}
			told <- i
		}
		close(told)
	}()
	var last int
	waitFor(t, "a full queue", func() bool {
		select {
		case last = <-told:
			return false
		default:
			return last >= maxNotices-1
		}
	})
	if last > 2*maxNotices+1 {
		t.Errorf("%d notices were taken while the kernel took none", last)
	}
	closed := make(chan struct{})
	go func() { n.close(); close(closed) }()
	close(k.let)
	<-closed
	n.ContentChanged(1)
	for range told {
	}
}

// waitFor polls for at most ten seconds.
func waitFor(t testing.TB, what string, reached func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if reached() {
			return
		}
	}
	t.Fatalf("waited in vain for %s", what)
}
