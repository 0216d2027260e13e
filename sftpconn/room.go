package sftpconn

import (
	"context"
	"slices"
)

// room is what one file has in flight in one direction, and which requests wait for more. It
// is kept within the windows of the channels on which the file is open by now. Else requests
// would queue up on the first of them, for several round trips, while the channels that open
// a moment later have nothing to do; and what was asked for first would be answered last.
// Guarded by File.mu.
type room struct {
	inFlight int64 // bytes
	queue    []*entrant
}

// entrant is a request that waits for room.
type entrant struct {
	want
	admitted chan struct{} // closed by admit
}

// takeRoom waits until there is room for ask. giveRoom gives the room back.
func (f *File) takeRoom(ctx context.Context, dir int, ask want) error {
	f.mu.Lock()
	r := &f.room[dir]
	if len(r.queue) == 0 && f.hasRoom(dir, ask.n) {
		r.inFlight += int64(ask.n)
		f.mu.Unlock()
		return nil
	}
	e := &entrant{want: ask, admitted: make(chan struct{})}
	r.queue = inLine(r.queue, e)
	f.admit(dir) // ask may be the first of the queue now, and small enough
	f.mu.Unlock()
	select {
	case <-e.admitted:
		return nil
	default:
	}
	if ask.waits != nil {
		ask.waits()
	}
	select {
	case <-e.admitted:
		return nil
	case <-ctx.Done():
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if i := slices.Index(r.queue, e); i >= 0 {
		r.queue = slices.Delete(r.queue, i, i+1)
	} else {
		r.inFlight -= int64(ask.n)
	}
	f.admit(dir)
	return context.Cause(ctx)
}

// giveRoom gives room for n bytes back.
func (f *File) giveRoom(dir int, n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.room[dir].inFlight -= n
	f.admit(dir)
}

// admit admits those for whom there is room, in the order of the queue. With mu held.
func (f *File) admit(dir int) {
	r := &f.room[dir]
	for len(r.queue) > 0 && f.hasRoom(dir, r.queue[0].n) {
		e := r.queue[0]
		r.queue = slices.Delete(r.queue, 0, 1)
		r.inFlight += int64(e.n)
		close(e.admitted)
	}
}

// hasRoom reports whether n more bytes may be in flight. If nothing is in flight they always may. With mu held.
func (f *File) hasRoom(dir, n int) bool {
	in := f.room[dir].inFlight
	return in == 0 || in+int64(n) <= f.capacity(dir)
}

// capacity is how many bytes the channels carry on which the file is open. The channel of names counts only where there is no other.
// While the file is open on one channel and is being opened on more, little is written (see leastWrites). With mu held.
func (f *File) capacity(dir int) int64 {
	open, opening, size := 0, 0, int64(0)
	for ch, h := range f.handles {
		switch {
		case !h.takes(dir, forData):
			if h.fits(dir) && !h.openDone() {
				opening++
			}
		case !ch.names || ch.former.Load():
			open++
			size += ch.pacer(dir).shareNow()
		case ch.pacer(dir).lent.Load():
			size += lentBytes
		}
	}
	switch {
	case dir == writing && open <= 1 && opening > 0:
		return leastWrites
	case open == 0:
		return carried
	}
	return size
}

// crowd has the file opened on the channels that there are. Where its requests will soon be more than their windows hold, it has more
// channels opened, and further connections if the user allows them. Because that takes some round trips, it is called as soon as a
// request is made, before it waits for room.
func (f *File) crowd(dir int) {
	f.mu.Lock()
	f.tryWiden(dir)
	capacity := f.capacity(dir)
	f.mu.Unlock()
	pending := f.pending.Load()
	soon := pending
	if dir == reading && f.r.Size > 2*capacity {
		soon *= startGain // a reader that has begun asks for more with each round trip
	}
	if float64(soon) < float64(capacity)*heldFrom {
		return
	}
	for _, l := range f.c.allLinks() {
		n, link := l.pacer(dir).wanted()
		if n == 0 && dir == writing && l.rtt.get() > distantRTT {
			n = min(l.pacer(dir).begins(), int(pending/window))
		}
		if n > 0 {
			l.grow(n)
		} else {
			l.reserve(l.pacer(dir))
		}
		if link && pending > capacity {
			f.c.addLink()
		}
	}
}
