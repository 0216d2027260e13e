package filedata

import (
	"cmp"
	"context"
	"slices"
	"time"
)

const (
	// keepConsumed is how many bytes of spans stay that were read to their end, as readers overlap a little, and the
	// threads of one come out of order. No more: the kernel has the bytes, and memory that is soon used again is in the CPU's cache.
	keepConsumed = 2 << 20
	// cleanAge is how long a clean span stays that nobody reads.
	cleanAge = 10 * time.Second
	// janitorPeriod is how often old spans and idle streams are looked for, while there are any.
	janitorPeriod = 2 * time.Second
)

// budgetWaiter is a writer that waits for n bytes of the budget.
type budgetWaiter struct {
	n       int64
	granted chan struct{} // closed by grantLocked
}

// countLocked adds n bytes to those of dirty or clean buffers; n may be negative.
func (p *Pool) countLocked(dirty bool, n int64) {
	p.startJanitorLocked()
	if !dirty {
		p.clean += n
		return
	}
	p.dirty += n
	if n < 0 && len(p.writers) > 0 {
		p.grantLocked()
	}
}

// reserve waits until the budget has room for n more bytes to be written; unreserve follows when they are in buffers. First come, first
// served.
func (p *Pool) reserve(ctx context.Context, n int64) error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return ErrClosed
	}
	if len(p.writers) == 0 && p.fitsLocked(n) {
		p.reserved += n
		p.mu.Unlock()
		return nil
	}
	w := &budgetWaiter{n: n, granted: make(chan struct{})}
	p.writers = append(p.writers, w)
	p.waiting.Add(1)
	p.mu.Unlock()
	defer p.waiting.Add(-1)

	// The budget may be taken by extents that wait for more to merge with.
	p.push()
	var err error
	select {
	case <-w.granted:
		return nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-p.ctx.Done():
		err = ErrClosed
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.writers, w); i >= 0 {
		p.writers = slices.Delete(p.writers, i, i+1)
	} else {
		p.reserved -= n // it was granted at the same moment
	}
	p.grantLocked() // what comes behind may be smaller
	return err
}

// unreserve ends a reservation.
func (p *Pool) unreserve(n int64) {
	p.mu.Lock()
	p.reserved -= n
	if len(p.writers) > 0 {
		p.grantLocked()
	}
	p.mu.Unlock()
}

// fitsLocked says whether the budget has room for n more bytes. A write that is larger than the whole budget has when it is alone.
func (p *Pool) fitsLocked(n int64) bool {
	used := p.dirty + p.reserved
	return used == 0 || used+n <= p.o.WriteBudget
}

// grantLocked lets those waiting writers go on, in order, for which there is room.
func (p *Pool) grantLocked() {
	for len(p.writers) > 0 && p.fitsLocked(p.writers[0].n) {
		w := p.writers[0]
		p.writers = p.writers[1:]
		p.reserved += w.n
		close(w.granted)
	}
}

// spanList is a list of clean spans, least recently used first.
type spanList struct {
	first, last *span
	bytes       int64
}

func (l *spanList) append(s *span) {
	s.list, s.prev, s.next = l, l.last, nil
	if l.last != nil {
		l.last.next = s
	} else {
		l.first = s
	}
	l.last = s
	l.bytes += s.cost
}

// unlist takes s out of the list that it is in, if any. Pool.mu is held.
func (s *span) unlist() {
	l := s.list
	if l == nil {
		return
	}
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		l.first = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	} else {
		l.last = s.prev
	}
	l.bytes -= s.cost
	s.list, s.prev, s.next = nil, nil, nil
}

// touch makes s the most recently used of the list where it belongs. Its File.mu is held.
func (p *Pool) touch(s *span) {
	now := time.Now()
	p.mu.Lock()
	s.unlist()
	s.touched = now
	switch {
	case s.consumed():
		p.consumed.append(s)
	case s.unclaimed:
		p.unclaimed.append(s)
	default:
		p.unread.append(s)
	}
	p.mu.Unlock()
}

// unclaim notes that no reader is known to come for some spans of one file, whose mu is held.
func (p *Pool) unclaim(spans []*span) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range spans {
		s.unclaimed = true
		if s.list == &p.unread {
			s.unlist()
			p.unclaimed.append(s)
		}
	}
}

// forget takes s out of its list.
func (p *Pool) forget(s *span) {
	p.mu.Lock()
	s.unlist()
	p.mu.Unlock()
}

// roomAhead says whether n more bytes may be read ahead: not at the cost of what was read ahead for readers that are still there.
func (p *Pool) roomAhead(n int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.clean-p.consumed.bytes-p.unclaimed.bytes+n <= p.o.ReadBudget
}

// trim evicts spans that were read, beyond keepConsumed, and what is over the budget. No lock is held.
func (p *Pool) trim() {
	for {
		p.mu.Lock()
		var victim *span
		switch {
		case p.consumed.bytes > keepConsumed:
			victim = p.consumed.first
		case p.clean > p.o.ReadBudget:
			victim = cmp.Or(p.consumed.first, p.unclaimed.first, p.unread.first)
		}
		if victim == nil {
			p.mu.Unlock()
			return
		}
		victim.unlist()
		p.mu.Unlock()
		victim.file.evict(victim)
	}
}

// startJanitorLocked sets the janitor's timer, where it is not set.
func (p *Pool) startJanitorLocked() {
	if p.janitor == nil && !p.closed {
		p.janitor = time.AfterFunc(p.period, p.clear)
	}
}

// old takes a span off its list that nobody has read for long; nil where there is none.
func (p *Pool) old(now time.Time) *span {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range []*span{p.consumed.first, p.unclaimed.first, p.unread.first} {
		if s != nil && now.Sub(s.touched) >= p.age {
			s.unlist()
			return s
		}
	}
	return nil
}

// clear is the janitor's round. It sets the timer again only where something is left to clear.
func (p *Pool) clear() {
	now := time.Now()
	for s := p.old(now); s != nil; s = p.old(now) {
		s.file.evict(s)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for s := range p.streams {
		if now.Sub(time.Unix(0, s.used.Load())) > p.age {
			delete(p.streams, s)
		}
	}
	p.slabs.arenas.trim()
	p.janitor = nil
	if p.clean > 0 || p.dirty > 0 || len(p.streams) > 0 || len(p.slabs.arenas.idle) > keptArenas {
		p.startJanitorLocked()
	}
}
