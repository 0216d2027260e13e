package sftpconn

import (
	"time"

	"sshmount/sftpconn/transport"
)

// Status describes the connection, for `sshmount status`.
type Status struct {
	Connected    bool
	Since        time.Time // when Connected last changed
	LastError    string    // why not connected, or why the last connection ended
	NextTry      time.Time // zero where none is planned
	GaveUp       bool      // ReconnectTimeout has passed
	Reconnects   int
	Info         transport.Info // of the last connection
	Connections  int
	Channels     int
	RTT          time.Duration // smallest recent round trip; 0 where none is known
	ReadRate     float64       // bytes/s, over the last seconds
	WriteRate    float64
	BytesRead    uint64 // since New
	BytesWritten uint64
	Requests     uint64 // for which callers waited, since New
	InFlight     int
	Oldest       time.Duration // age of the oldest unanswered request; 0 where none
	Waiting      int           // callers that wait for a connection
}

// Status sends nothing and does not wait, also while the line is down.
func (c *Conn) Status() Status {
	s := Status{RTT: c.RTT()}
	s.InFlight, s.Oldest, s.Requests = c.journal.look()
	s.Waiting = int(c.waiting.Load())
	c.mu.Lock()
	s.Connected = c.isUp(c.names)
	s.Since, s.NextTry = c.since, c.nextTry
	s.GaveUp = c.gaveUp || c.final != nil
	s.Reconnects = c.reconnects
	s.Info = c.info
	s.BytesRead, s.BytesWritten = c.past[reading], c.past[writing]
	why := c.lastErr
	if c.names != nil && !s.Connected {
		// The manager is about to notice.
		if why = c.names.link.cause(); why == nil {
			why = c.names.s.Err()
		}
		s.Since = time.Now()
	}
	if why != nil {
		s.LastError = why.Error()
	}
	links := c.links
	c.mu.Unlock()
	for _, l := range links {
		s.Connections++
		s.Channels += len(l.channels())
		read, in := l.read.metered()
		written, out := l.write.metered()
		s.BytesRead += read
		s.BytesWritten += written
		s.ReadRate += in
		s.WriteRate += out
	}
	return s
}

// metered returns the bytes moved so far, and the rate over the last seconds in bytes/s.
func (p *pacer) metered() (uint64, float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.meter.total, p.meter.rate(time.Now())
}

// countPast adds what links have moved that are about to be forgotten. With mu held.
func (c *Conn) countPast(links ...*link) {
	for _, l := range links {
		read, _ := l.read.metered()
		written, _ := l.write.metered()
		c.past[reading] += read
		c.past[writing] += written
	}
}

// RTT is the smallest recent round trip; 0 where none is known.
func (c *Conn) RTT() time.Duration {
	for _, l := range c.allLinks() {
		if rtt := l.rtt.get(); rtt > 0 {
			return rtt
		}
	}
	return 0
}
