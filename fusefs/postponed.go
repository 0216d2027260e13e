package fusefs

import (
	"sync"
	"time"

	"sshmount/cache"
)

// postponed are openings that were answered with ESTALE, because the kernel believes the file to have another size: it looks the
// name up then, which tells it the size, and opens once more. That opening gets the handle which the first has made, and costs no
// round trip.
type postponed struct {
	mu    sync.Mutex // guards the rest; cache's locks come after it
	files map[uint64]opening
	ended bool
}

// opening is one that was answered with ESTALE, by the flags that it was asked for.
type opening struct {
	h     *cache.Handle
	keep  bool // as Open has it
	flags uint32
	given *time.Timer // gives the handle back where the kernel does not come again
}

// postponedFor is how long the kernel may take to come again. Not all of it does: who opens a file without its path is told of ESTALE.
const postponedFor = time.Second

// put postpones an opening of a node. False: one was a moment ago, and the kernel is not asked to come again for ever.
func (p *postponed) put(id uint64, flags uint32, h *cache.Handle, keep bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, waits := p.files[id]; waits || p.ended {
		return false
	}
	if p.files == nil {
		p.files = map[uint64]opening{}
	}
	h.Postpone(keep)
	p.files[id] = opening{h, keep, flags, time.AfterFunc(postponedFor, func() {
		if o, ok := p.remove(id, flags); ok {
			o.h.Release()
		}
	})}
	return true
}

// take gives the opening of a node with these flags that was postponed, to be answered now.
func (p *postponed) take(id uint64, flags uint32) (h *cache.Handle, keep, ok bool) {
	o, ok := p.remove(id, flags)
	if ok {
		o.h.Resume(o.keep)
	}
	return o.h, o.keep, ok
}

func (p *postponed) remove(id uint64, flags uint32) (opening, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	o, ok := p.files[id]
	if !ok || o.flags != flags {
		return opening{}, false
	}
	delete(p.files, id)
	o.given.Stop()
	return o, true
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
