package sftpconn

import (
	"sync"
	"time"
)

const (
	// minRTTFor is how long a smallest round trip is believed that is not reached again.
	minRTTFor = 10 * time.Second

	// minRTTFresh is the age from which on it is worth emptying the queues to see it again.
	minRTTFresh = 5 * time.Second

	// flowPause is how long a pause must be for what comes behind it to be taken for a flow that begins, and that finds empty queues.
	flowPause = time.Second

	// emptyLeast is how long the line is at least given to become empty; else it is emptyRTTs of the smallest round trips. A request
	// whose answer does not come at all must not keep others away for longer.
	emptyLeast = 2 * time.Second
	emptyRTTs  = 4
)

// drain is how far the queues are to empty.
type drain int

const (
	noDrain   drain = iota
	halfDrain       // about half of what the line holds may be in flight in each direction: that leaves no queue, if what is known of it is right
	fullDrain       // one request in each direction
)

// minRTT keeps the smallest round trip of late: that of the line with empty queues. While data flows there always is some queue, so
// now and then the line is given a moment to empty it. What was measured behind a queue of our own never makes it longer: more would
// be sent then, the queue would grow with that, and so on. So where it was not reached again for long, nothing is sent until nothing
// is under way (fullDrain), and what comes then is what the line takes by now.
type minRTT struct {
	mu       sync.Mutex // guards what follows; a leaf
	best     time.Duration
	seen     time.Time     // when best was last seen, or nearly
	next     time.Duration // the smallest since seen of those that met no queue of ours; 0 where there was none
	draining time.Time     // the end of the last halfDrain

	busy      [2]bool   // data is in flight, by direction
	idleSince time.Time // since when none is; zero where some is
	flows     time.Time // since when data flows without a pause of flowPause

	emptying   time.Time // when the fullDrain began; zero where there is none
	emptied    [2]bool   // since then nothing was in flight in this direction, and no more than one request behind it
	emptiedAt  time.Time // when that became true of both; zero where it is not
	emptyAfter time.Time // no fullDrain before
}

// add takes a sample, whose request was sent d ago.
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

// take makes best what was seen now. With mu held.
func (m *minRTT) take(best time.Duration, now time.Time) {
	m.best, m.seen, m.next = best, now, 0
	m.emptying, m.emptiedAt = time.Time{}, time.Time{}
}

// get is 0 where nothing is known.
func (m *minRTT) get() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.best
}

// flies notes that there is data in flight in a direction, or no more.
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

// drain says whether little must be in flight now, so that the queues empty and the smallest round trip shows. It is asked while
// data flows, and begins that by itself.
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
