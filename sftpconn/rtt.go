package sftpconn

import (
	"sync"
	"time"
)

const (
	// minRTTFor is how long a smallest round trip is believed that no answer reaches again.
	minRTTFor = 10 * time.Second

	// minRTTFresh is the age from which it is worth draining the queues to see it again.
	minRTTFresh = 5 * time.Second

	// flowPause is the pause after which data counts as a new flow, which finds the queues empty.
	flowPause = time.Second

	// emptyLeast and emptyRTTs bound a fullDrain: it lasts emptyLeast, or emptyRTTs smallest round trips if that is longer. A request that
	// is never answered must not hold up others for longer.
	emptyLeast = 2 * time.Second
	emptyRTTs  = 4
)

// drain is how far the queues are to be drained.
type drain int

const (
	noDrain   drain = iota
	halfDrain       // about half of what the line holds may be in flight in each direction: that leaves no queue, if what is known is right
	fullDrain       // only one request may be in flight in each direction
)

// minRTT keeps the smallest recent round trip: that of the line with empty queues. While data flows there always is some queue, so now
// and then little is sent for a moment, to drain it. A round trip that was measured behind a queue of our own never replaces a smaller
// one: more would be sent then, the queue would grow, and so on. So where the smallest was not reached again for long, nothing is sent
// until nothing is in flight (fullDrain). The next round trip is that of the line as it is by then.
type minRTT struct {
	mu       sync.Mutex // guards what follows; a leaf
	best     time.Duration
	seen     time.Time     // when best was last reached, or nearly
	next     time.Duration // the smallest since then that met no queue of ours; 0 where there was none
	draining time.Time     // the end of the last halfDrain

	busy      [2]bool   // data is in flight, by direction
	idleSince time.Time // since when no data is in flight; zero while some is
	flows     time.Time // since when data flows with no pause of flowPause

	emptying   time.Time // when the fullDrain began; zero where there is none
	emptied    [2]bool   // since it began there was a moment with nothing in flight in this direction
	emptiedAt  time.Time // when that became true of both directions; zero where it is not
	emptyAfter time.Time // before this time no fullDrain begins
}

// add notes a round trip of d that has just ended.
func (m *minRTT) add(d time.Duration) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	sent := now.Add(-d)
	switch {
	case m.best == 0 || d <= m.best:
		m.take(d, now)
	case d <= m.best+m.best/16+time.Millisecond/2:
		m.take(m.best, now)
	case !m.emptiedAt.IsZero() && !sent.Before(m.emptiedAt):
		m.take(d, now)
	case !m.idleSince.IsZero() && !sent.Before(m.idleSince):
		if m.next == 0 || d < m.next {
			m.next = d
		}
		if now.Sub(m.seen) > minRTTFor {
			m.take(m.next, now)
		}
	}
}

// take makes a round trip that was seen now the smallest. With mu held.
func (m *minRTT) take(best time.Duration, now time.Time) {
	m.best, m.seen, m.next = best, now, 0
	m.emptying, m.emptiedAt = time.Time{}, time.Time{}
}

// get returns the smallest round trip; 0 where none is known.
func (m *minRTT) get() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.best
}

// flying reports whether data is in flight in a direction.
func (m *minRTT) flying(dir int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.busy[dir]
}

// flies notes that data is in flight in a direction, or is not any more.
func (m *minRTT) flies(dir int, busy bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.busy[dir] = busy
	switch now := time.Now(); {
	case busy:
		if m.flows.IsZero() || !m.idleSince.IsZero() && now.Sub(m.idleSince) > flowPause {
			m.flows = now
		}
		m.idleSince = time.Time{}
	case !m.busy[1-dir]:
		m.idleSince = now
	}
	if !busy && !m.emptying.IsZero() {
		m.emptied[dir] = true
		m.noteEmptied()
	}
}

// noteEmptied notes the moment in which the line was empty both ways. With mu held.
func (m *minRTT) noteEmptied() {
	if m.emptied[reading] && m.emptied[writing] && m.emptiedAt.IsZero() {
		m.emptiedAt = time.Now()
	}
}

// drain returns whether little may be in flight now, so that the queues drain and the smallest round trip shows. It is called while data
// flows, and decides by itself when a drain begins.
func (m *minRTT) drain() drain {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	unseen := min(now.Sub(m.seen), now.Sub(m.flows))
	switch {
	case m.best == 0 || !m.idleSince.IsZero() && now.Sub(m.idleSince) > flowPause:
		return noDrain
	case !m.emptying.IsZero():
		if now.Sub(m.emptying) < max(emptyLeast, emptyRTTs*m.best) {
			return fullDrain
		}
		m.emptying, m.emptiedAt = time.Time{}, time.Time{}
		m.emptyAfter = now.Add(minRTTFor)
	case unseen > minRTTFor && !now.Before(m.emptyAfter):
		m.emptying = now
		m.emptied = [2]bool{!m.busy[0], !m.busy[1]}
		m.noteEmptied()
		return fullDrain
	}
	if now.Before(m.draining) {
		return halfDrain
	}
	if unseen < minRTTFresh || now.Sub(m.draining) < minRTTFresh {
		return noDrain
	}
	m.draining = now.Add(m.best*3/2 + 20*time.Millisecond)
	return halfDrain
}
