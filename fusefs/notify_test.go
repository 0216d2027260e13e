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

func TestNoticesReachTheKernelFromStartToClose(t *testing.T) {
	k := &busyKernel{let: make(chan struct{})}
	close(k.let)
	n := &notifier{}
	n.ContentChanged(7) // before the mount there is nobody to tell
	n.start(k)
	n.ContentChanged(3)
	n.NameChanged(1, "a")
	n.close()
	n.ContentChanged(8)
	if all := k.all(); !slices.Equal(all, []string{"entry 1 a", "inode 3 0 -1"}) {
		t.Errorf("the kernel was told %q", all)
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
