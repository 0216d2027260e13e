package fusefs

import (
	"maps"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"sshmount/cache"
)

// postponed are openings that were answered with ESTALE, because the kernel believes the file to have another size: it looks the
// name up then, which tells it the size, and opens once more. That opening gets the handle which the first has made, and costs no
// round trip.
type postponed struct {
	mu    sync.Mutex // guards the rest; cache's locks come after it
	files map[opener]*opening
	stale map[uint32]time.Time // threads whose last walk to a file ended with ESTALE, for whatever reason, and when it did
	ended bool
}

// opener is a thread that opens a file: it comes again for what it was to be given, and is not put off twice where the file changes all
// the time.
type opener struct {
	node   uint64
	thread uint32 // 0 for all that this process can't see
}

// opening is one that was answered with ESTALE, by the flags that it was asked for.
type opening struct {
	h     *cache.Handle
	keep  bool // as Open has it
	flags uint32
	given *time.Timer // gives the handle back where the kernel does not come again
}

// postponedFor is how long the kernel may take to come again, with what it has to ask on the way. A program may have been killed by then.
const postponedFor = 10 * time.Second

// answered notes what a request is answered with on the way to a file.
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
	maps.DeleteFunc(p.stale, func(_ uint32, at time.Time) bool { return time.Since(at) > postponedFor }) // those that have opened nothing since
	p.stale[thread] = time.Now()
}

// lastTry says whether an opening is the one that follows ESTALE: that answer to it would be its program's.
func (p *postponed) lastTry(in *fuse.InHeader) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, is := p.stale[in.Pid]
	delete(p.stale, in.Pid)
	return is && time.Since(at) <= postponedFor
}

// put postpones an opening. False: one of that thread was a moment ago, and the kernel is not asked to come again for ever.
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
	o.given = time.AfterFunc(postponedFor, func() {
		if p.removed(by, o) {
			o.h.Release()
		}
	})
	p.files[by] = o
	return true
}

// take gives the opening that was postponed, to be answered now.
func (p *postponed) take(in *fuse.InHeader, flags uint32) (h *cache.Handle, keep, ok bool) {
	by := opener{in.NodeId, in.Pid}
	p.mu.Lock()
	o := p.files[by]
	p.mu.Unlock()
	if o == nil || o.flags != flags || !p.removed(by, o) {
		return nil, false, false
	}
	o.given.Stop()
	o.h.Resume(o.keep)
	return o.h, o.keep, true
}

// removed says whether an opening was still waiting, and takes it out: its handle is the caller's then.
func (p *postponed) removed(by opener, o *opening) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.files[by] != o {
		return false
	}
	delete(p.files, by)
	return true
}

// end gives back what the kernel will not come for.
func (p *postponed) end() {
	p.mu.Lock()
	p.ended = true
	files := p.files
	p.files = nil
	p.mu.Unlock()
	for _, o := range files {
		o.given.Stop()
		o.h.Release()
	}
}
