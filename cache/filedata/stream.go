package filedata

import (
	"sync/atomic"
	"time"
)

const (
	maxStreams   = 8                      // sequences of reads that are told apart in one handle
	nearWindow   = 2 << 20                // what a window needs to grow to on a line without delay
	rampRate     = 4 << 30                // bytes/s of the fastest line that a growing window must fill
	rampGain     = 5                      // bytes by which a window grows for each that its reader took and had to wait behind
	flatRounds   = 3                      // rounds without a faster reader that end the growing of its window
	firstWindow  = 256 << 10              // bytes read ahead when a sequence is seen
	leastWindow  = 1 << 20                // a window never ends smaller where its reader has to wait
	mostTime     = 4 * time.Second        // a window is no more than is read in this time
	ownQueue     = 500 * time.Millisecond // a request takes no longer than this, or ownQueueRTTs round trips, but for the queue of its stream
	ownQueueRTTs = 8
	reorder      = 1 << 20  // how far behind the furthest read of a stream another of its reads may come
	bulkRead     = 64 << 10 // a read of this size at the beginning of a file is taken for the first of many
)

// stream is a sequence of reads that goes forward through a file. They are those of one program, or of the kernel's threads that read
// ahead for it: then they come a little out of order. Guarded by File.mu.
type stream struct {
	lo, next int64 // where the first read began, and where the furthest ended
	ahead    int64 // everything before this offset has been asked for
	window   int64 // bytes to ask for ahead of next; 0 while the reads are not seen to be a sequence
	taken    int64 // bytes read since the window was last made to fit

	// While ramping, the window grows with what the reader takes: sixfold in a round trip where the line holds more, and by little on
	// a line that is full. This is measured in rounds of a round trip or more. Several rounds in a row that make the reader not much
	// faster end the ramp; a single one may have waited for something else, as for further channels. One that is much faster begins it
	// again.
	begun   time.Time // when the present round began
	bytes   int64     // read in it
	rate    float64   // of the reader, in bytes/s: the best of late
	ramping bool
	flat    int // rounds in a row that were not much faster

	used atomic.Int64 // time of the last read, in ns since 1970
}

// match finds the stream that a read of [off, end) belongs to; ok says that the reads are a sequence.
func (h *Handle) match(off, end int64) (s *stream, ok bool) {
	for _, s := range h.streams {
		if s.window > 0 {
			if off >= max(s.lo, s.next-reorder) && off <= max(s.next, s.ahead)+firstWindow {
				return s, true
			}
			continue
		}
		gap := int64(0)
		if end-off >= bulkRead {
			gap = end - off // two reads whose order was changed on the way
		}
		if off >= s.next && off <= s.next+gap {
			return s, true
		}
		if off < s.next && end >= s.lo {
			return s, false // backward, or the first two out of order
		}
	}
	return nil, false
}

// newStream begins a stream, where there are maxStreams in place of the one that is unused for longest.
func (h *Handle) newStream(off, end int64) *stream {
	s := &stream{lo: off, next: end, ahead: end}
	if len(h.streams) < maxStreams {
		h.streams = append(h.streams, s)
		return s
	}
	oldest := 0
	for i, o := range h.streams {
		if o.used.Load() < h.streams[oldest].used.Load() {
			oldest = i
		}
	}
	h.pool.idleStream(h.streams[oldest])
	h.streams[oldest] = s
	return s
}

// readAhead notes a read of [off, end), and adds to asked what should be read ahead now. missed says that part of the read was not even
// asked for before, waits that part of it is not there yet.
func (h *Handle) readAhead(asked []*span, off, end int64, missed, waits bool) []*span {
	now := time.Now()
	s, sequence := h.match(off, end)
	if s == nil {
		h.seek()
		s = h.newStream(off, end)
		sequence = off == 0 && end-off >= bulkRead
	}
	s.used.Store(now.UnixNano())
	s.lo, s.next = min(s.lo, off), max(s.next, end)
	if sequence && s.window == 0 {
		s.window = max(firstWindow, int64(h.maxRead))
		s.begun, s.ramping = now, true
	}
	if s.window == 0 {
		return asked
	}
	share := h.pool.share(s)
	if waits {
		s.fit(now, h.pool.rtt.least(), h.backend.RTT())
	}
	s.taken += end - off
	s.bytes += end - off
	s.window = min(s.window, share)
	if missed || s.ahead < s.next {
		s.ahead = s.next // what was there may be gone
	}
	return h.askAhead(asked, s)
}

// askAhead adds the requests that fill the window of s: whole ones, but for the file's end.
func (h *Handle) askAhead(asked []*span, s *stream) []*span {
	f := h.file
	block := int64(h.maxRead)
	want := min(s.next+s.window, f.remote)
	for s.ahead < want && (want-s.ahead >= block || want == f.remote) {
		to := min(s.ahead+block, f.remote)
		lo, hi := h.nextGap(s.ahead, to)
		if lo < hi {
			if hi < to {
				hi = h.bridge(lo, hi, to)
			}
			if !h.pool.roomAhead(hi - lo) {
				break
			}
			asked = h.ask(asked, lo, hi)
		}
		s.ahead = hi
	}
	return asked
}

// seek halves the window of the stream that was used last: the reader went elsewhere, so less of what is read ahead may be wanted.
func (h *Handle) seek() {
	var last *stream
	for _, s := range h.streams {
		if s.window > 0 && (last == nil || s.used.Load() > last.used.Load()) {
			last = s
		}
	}
	if last != nil {
		last.window = max(last.window/2, firstWindow, int64(h.maxRead))
	}
}

// fit makes the window fit the speed of the reader, who has to wait at this moment. rtt is the time that requests take, of which the server
// may have its part, and line that of the line alone; 0 where nothing is known.
func (s *stream) fit(now time.Time, rtt, line time.Duration) {
	if s.ramping {
		s.window += rampGain * s.taken
		s.bound()
	}
	if line > 0 {
		s.window = min(s.window, nearWindow+int64(rampRate*line.Seconds()))
		// A request that takes longer waits behind others of this stream, and with a window made for that time it would wait for
		// longer still.
		rtt = min(rtt, max(ownQueueRTTs*line, ownQueue))
	}
	s.taken = 0
	d := now.Sub(s.begun)
	if rtt == 0 || d < rtt {
		return
	}
	rate := float64(s.bytes) / d.Seconds()
	if rate >= 1.4*s.rate {
		s.flat, s.ramping = 0, true
	} else if s.flat++; s.flat >= flatRounds {
		s.ramping = false
	}
	s.rate = max(rate, s.rate*3/4) // one pause of the reader is not a slow reader
	if !s.ramping {
		s.window = max(leastWindow, int64(2*s.rate*rtt.Seconds()))
	}
	s.bound()
	s.begun, s.bytes = now, 0
}

// bound keeps the window of a reader whose rate is known within what is read in mostTime. More is of no use on any line, and once the
// reader stops it would occupy a slow line for longer.
func (s *stream) bound() {
	if s.rate > 0 {
		s.window = min(s.window, max(int64(s.rate*mostTime.Seconds()), firstWindow))
	}
}

// share is how many bytes of the budget one stream may have ahead. A quarter of the budget is left to what readers wait for.
func (p *Pool) share(s *stream) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.streams[s] = struct{}{}
	p.startJanitorLocked()
	return max(p.o.ReadBudget*3/4/int64(len(p.streams)), 1)
}

// idleStream takes a stream out of those that share the budget.
func (p *Pool) idleStream(s *stream) {
	p.mu.Lock()
	delete(p.streams, s)
	p.mu.Unlock()
}
