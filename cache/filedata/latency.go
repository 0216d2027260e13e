package filedata

import (
	"sync"
	"time"
)

// latencyPeriod is how long a least time counts: a line can change its way.
const latencyPeriod = 10 * time.Second

// latency is the least time from request to answer in this period and the last.
type latency struct {
	mu                sync.Mutex    // guards the rest; a leaf
	current, previous time.Duration // the least of each period; 0 where nothing was asked
	begun             time.Time     // when the current period began
}

// add takes in how long one request took.
func (l *latency) add(d time.Duration) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.begun) > latencyPeriod {
		l.previous, l.current, l.begun = l.current, 0, now
	}
	if l.current == 0 || d < l.current {
		l.current = max(d, 1)
	}
}

// least is 0 where nothing was asked of late.
func (l *latency) least() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.previous > 0 && (l.current == 0 || l.previous < l.current) {
		return l.previous
	}
	return l.current
}
