package fusefs

import (
	"maps"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"sshmount/cache"
)

// postponed holds OPENs that succeeded and were answered with ESTALE all the same, because the kernel believes the file to have another
// size, and the answer to an OPEN can't tell it the right one. After ESTALE the kernel looks the name up, which tells it the size, and
// sends the OPEN once more. That one is given the handle which is waiting here, and costs no round trip.
//
// The kernel does so once: a second ESTALE is what the program gets. So an OPEN that follows an ESTALE is never postponed (lastTry).
type postponed struct {
	mu    sync.Mutex           // guards the rest; the cache's locks come after it
	files map[opener]*opening  // those that the kernel is to send again
	stale map[uint32]time.Time // threads whose last OPEN or READLINK was answered with ESTALE, and when
	ended bool
}

// opener is a thread that opens a file: the kernel sends its OPEN again from the same thread.
type opener struct {
	node   uint64
	thread uint32 // 0 for all threads that this process can't see
}

// opening is an OPEN that is postponed.
type opening struct {
	h     *cache.Handle
	keep  bool        // as cache.Open has told
	flags uint32      // of the request; the one that is sent again has the same
	timer *time.Timer // releases the handle where the kernel does not come back
}

// postponedFor is how long an OPEN may stay postponed: the kernel comes back after one look-up, or not at all where the program was killed.
const postponedFor = 10 * time.Second

// answered passes on the answer to an OPEN or READLINK, and notes ESTALE.
func (p *postponed) answered(in *fuse.InHeader, st fuse.Status) fuse.Status {
	if st == fuse.Status(syscall.ESTALE) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.noteStale(in.Pid)
	}
	return st
}

// noteStale notes an answer of ESTALE to a thread. Called with mu held.
func (p *postponed) noteStale(thread uint32) {
	if p.stale == nil {
		p.stale = map[uint32]time.Time{}
	}
	maps.DeleteFunc(p.stale, func(_ uint32, at time.Time) bool { return time.Since(at) > postponedFor }) // of threads that opened nothing since
	p.stale[thread] = time.Now()
}

// lastTry says whether an OPEN is the one that follows an ESTALE: its program would be given another ESTALE.
func (p *postponed) lastTry(in *fuse.InHeader) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, is := p.stale[in.Pid]
	delete(p.stale, in.Pid)
	return is && time.Since(at) <= postponedFor
}

// absent notes that a thread was told that a name is not there. If that was the look-up after an ESTALE, no OPEN follows: its next one is of
// another file.
func (p *postponed) absent(in *fuse.InHeader) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.stale, in.Pid)
}

// put postpones an OPEN. False: one of the same thread and file is postponed already, and was not sent again.
func (p *postponed) put(in *fuse.InHeader, flags uint32, h *cache.Handle, keep bool) bool {
	by := opener{in.NodeId, in.Pid}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, waits := p.files[by]; waits || p.ended {
		return false
	}
	p.noteStale(in.Pid)
	if p.files == nil {
		p.files = map[opener]*opening{}
	}
	h.Postpone(keep)
	o := &opening{h: h, keep: keep, flags: flags}
	o.timer = time.AfterFunc(postponedFor, func() {
		if p.remove(by, o) {
			o.h.Release()
		}
	})
	p.files[by] = o
	return true
}

// take gives the handle of a postponed OPEN that the kernel has sent again.
func (p *postponed) take(in *fuse.InHeader, flags uint32) (h *cache.Handle, keep, ok bool) {
	by := opener{in.NodeId, in.Pid}
	p.mu.Lock()
	o := p.files[by]
	p.mu.Unlock()
	if o == nil || o.flags != flags || !p.remove(by, o) {
		return nil, false, false
	}
	o.timer.Stop()
	o.h.Resume(o.keep)
	return o.h, o.keep, true
}

// remove takes an opening out, whose handle is the caller's then. False: it is not there any more.
func (p *postponed) remove(by opener, o *opening) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.files[by] != o {
		return false
	}
	delete(p.files, by)
	return true
}

// end releases the handles for which the kernel will not come back, as the mount has ended.
func (p *postponed) end() {
	p.mu.Lock()
	p.ended = true
	files := p.files
	p.files = nil
	p.mu.Unlock()
	for _, o := range files {
		o.timer.Stop()
		o.h.Release()
	}
}
