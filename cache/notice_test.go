package cache

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

// busyNotifier takes no notice before it is let.
type busyNotifier struct {
	let chan struct{}
	all sync.WaitGroup // of the names that must be told
}

func (b *busyNotifier) ContentChanged(uint64)      { <-b.let }
func (b *busyNotifier) NameChanged(uint64, string) { <-b.let; b.all.Done() }

func TestAKernelThatTakesNoNoticesCostsNoGoroutines(t *testing.T) {
	const files = 1000
	b := &busyNotifier{let: make(chan struct{})}
	r := newRig(t, func(o *Options) { o.Notify = b })
	name := func(i int) string { return fmt.Sprint("f", i) }
	for i := range files {
		r.put(name(i), "")
	}
	r.list(r.Root())
	for i := range files {
		n := r.mustFind(name(i)).Node
		r.mu.Lock()
		n.expire()
		r.mu.Unlock()
		if err := os.Remove(filepath.Join(r.dir, name(i))); err != nil {
			t.Fatal(err)
		}
	}
	r.mu.Lock()
	r.distrust(r.root)
	r.mu.Unlock()
	b.all.Add(files)
	before := runtime.NumGoroutine()
	if left := r.list(r.Root()); len(left) != 0 {
		t.Errorf("%d names are still listed", len(left))
	}
	if more := runtime.NumGoroutine() - before; more > 20 {
		t.Errorf("%d goroutines more, for notices of %d names", more, files)
	}
	close(b.let)
	b.all.Wait() // each name is told in the end
}
