package fusefs

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

const (
	// sweepEvery is how often waiting requests are looked at; a killed program is gone after this.
	sweepEvery = 150 * time.Millisecond
	// patience is how long a request waits undisturbed by signals that a program has a handler for.
	patience = 2 * time.Second
)

var (
	errInterrupted = fmt.Errorf("interrupted by a signal: %w", syscall.EINTR)
	errAborted     = fmt.Errorf("the mount was ended: %w", syscall.EINTR)
)

// operation is one request of the kernel, and the context of what is done for it.
// Most requests are answered from memory. One that has to wait asks for Done first,
// and only then is the real context made and the request entered in the watcher.
type operation struct {
	watch  *watcher
	cancel <-chan struct{} // closed by go-fuse when the kernel says that the program got a signal
	pid    uint32          // of the thread that waits; 0 where the kernel can't say
	flush  bool            // a close(2), perhaps by a process that is ending and gets no more signals
	pages  bool            // a READ: where the kernel asks for several pages, a program waits for the pages and no interrupt arrives
	start  time.Time

	mu    sync.Mutex              // guards all below; comes before watcher.mu
	inner context.Context         // the real context; nil until somebody waits
	stop  context.CancelCauseFunc // of inner
	over  bool                    // the request is answered
}

var _ context.Context = (*operation)(nil)

// begin makes the operation of a request; end must follow when it is answered.
func (fs *filesystem) begin(cancel <-chan struct{}, in *fuse.InHeader) *operation {
	return &operation{watch: fs.watch, cancel: cancel, pid: in.Pid, start: time.Now()}
}

// end says that the request is answered.
func (o *operation) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.over = true
	if o.inner != nil {
		o.watch.remove(o)
		o.stop(context.Canceled)
	}
}

// Deadline implements context.Context; there is none.
func (o *operation) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done implements context.Context.
func (o *operation) Done() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.inner == nil {
		o.inner, o.stop = context.WithCancelCause(context.Background())
		if o.over {
			o.stop(context.Canceled)
		} else {
			o.watch.add(o)
		}
	}
	return o.inner.Done()
}

// Err implements context.Context.
func (o *operation) Err() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.inner != nil:
		return o.inner.Err()
	case o.over:
		return context.Canceled
	}
	return nil
}

// Value implements context.Context. It asks the real context, so that context.Cause
// works, and contexts derived from this one need no goroutine.
func (o *operation) Value(key any) any {
	o.mu.Lock()
	inner := o.inner
	o.mu.Unlock()
	if inner == nil {
		return nil
	}
	return inner.Value(key)
}

// watcher ends the waiting of requests whose program is to stop. Its goroutine looks at all of them every sweepEvery.
type watcher struct {
	dead func() bool   // says whether the kernel has given the mount up
	deaf bool          // no interrupt arrives: go-fuse handles one request at a time, and an interrupt is one
	wake chan struct{} // capacity 1: waiting is no longer empty; never closed
	quit chan struct{} // closed by close
	done chan struct{} // closed by run at its end

	mu      sync.Mutex // guards waiting; comes after operation.mu
	waiting map[*operation]struct{}
}

// newWatcher starts the watcher's goroutine, which ends with close.
func newWatcher(deaf bool, dead func() bool) *watcher {
	w := &watcher{
		dead:    dead,
		deaf:    deaf,
		wake:    make(chan struct{}, 1),
		quit:    make(chan struct{}),
		done:    make(chan struct{}),
		waiting: make(map[*operation]struct{}),
	}
	go w.run()
	return w
}

func (w *watcher) close() {
	close(w.quit)
	<-w.done
}

func (w *watcher) add(o *operation) {
	w.mu.Lock()
	w.waiting[o] = struct{}{}
	first := len(w.waiting) == 1
	w.mu.Unlock()
	if first {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

func (w *watcher) remove(o *operation) {
	w.mu.Lock()
	delete(w.waiting, o)
	w.mu.Unlock()
}

// run is the watcher's goroutine. It sweeps while requests wait, and sleeps while none does.
func (w *watcher) run() {
	defer close(w.done)
	for {
		select {
		case <-w.quit:
			return
		case <-w.wake:
		}
		for busy := true; busy; {
			select {
			case <-w.quit:
				return
			case <-time.After(sweepEvery):
				busy = w.sweep()
			}
		}
	}
}

// sweep ends the waiting of those requests that are to stop, and says whether any request waits. No lock is held while it calls stop, which
// runs whatever depends on the context.
func (w *watcher) sweep() bool {
	w.mu.Lock()
	all := slices.Collect(maps.Keys(w.waiting))
	w.mu.Unlock()
	if len(all) == 0 {
		return false
	}
	dead := w.dead()
	for _, o := range all {
		switch {
		case dead:
			o.stop(errAborted)
		case o.isToStop():
			o.stop(errInterrupted)
		}
	}
	return true
}

// isToStop says whether the program has to be answered now, because it is killed or, after patience, asked to stop. It looks at what /proc
// says of the waiting thread at each sweep: after its first signal the kernel sends no further interrupt for the request.
func (o *operation) isToStop() bool {
	long, interrupted := time.Since(o.start) > patience, false
	select {
	case <-o.cancel:
		interrupted = true
	default:
	}
	if !interrupted && !(long && (o.flush || o.pages || o.watch.deaf)) {
		return false
	}
	s, err := pendingSignals(o.pid)
	if err != nil {
		// Another PID namespace, or a /proc that hides other users' processes.
		return interrupted && long
	}
	if s.has(syscall.SIGKILL) {
		return true
	}
	asked := s.has(syscall.SIGINT) || s.has(syscall.SIGTERM) || s.has(syscall.SIGQUIT) || s.has(syscall.SIGHUP)
	return long && (asked || o.flush && diesBySignal(o.pid))
}
