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
)

// minRTT keeps the smallest round trip of late: that of the line with empty
// queues. While data flows there always is some queue, so now and then the line is
// given a moment to empty it (see drain).
type minRTT struct {
	mu       sync.Mutex // guards what follows; a leaf
	best     time.Duration
	seen     time.Time     // when best was last seen, or nearly
	next     time.Duration // the smallest since seen
	draining time.Time     // the end of the moment of little in flight
}

// add takes a sample.
func (m *minRTT) add(d time.Duration) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.best == 0 || d <= m.best:
		m.best, m.next, m.seen = d, d, now
	case d <= m.best+m.best/16+time.Millisecond/2:
		m.next, m.seen = d, now
	default:
		if m.next == m.best || d < m.next {
			m.next = d
		}
		if now.Sub(m.seen) > minRTTFor {
			m.best, m.seen = m.next, now
		}
	}
}

// get is 0 where nothing is known.
func (m *minRTT) get() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.best
}

// drain says whether little must be in flight now, so that the queues empty and
// the smallest round trip shows. It is asked while data flows, and begins that by itself.
func (m *minRTT) drain() bool {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Before(m.draining) {
		return true
	}
	if m.best == 0 || now.Sub(m.seen) < minRTTFresh || now.Sub(m.draining) < minRTTFresh {
		return false
	}
	m.draining = now.Add(m.best*3/2 + 20*time.Millisecond)
	return true
}
