package sftpconn

import (
	"time"

	"sshmount/sftpconn/transport"
)

// Status is what `sshmount status` tells of the line.
type Status struct {
	Connected    bool
	Since        time.Time // of the state that Connected says
	LastError    string    // why not connected, or why the last connection ended
	NextTry      time.Time // zero where none is planned
	GaveUp       bool      // ReconnectTimeout has passed
	Reconnects   int
	Info         transport.Info // of the last connection
	Connections  int
	Channels     int
	RTT          time.Duration // smallest of late
	ReadRate     float64       // bytes/s, of late
	WriteRate    float64
	BytesRead    uint64 // since New
	BytesWritten uint64
	Requests     uint64 // that callers waited for, since New
	InFlight     int
	Oldest       time.Duration // age of the oldest unanswered request; 0 where none
	Waiting      int           // callers that wait for a connection
}

// Status asks nobody: it is answered also while the line is down.
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

// metered gives the bytes moved so far and the rate of late.
func (p *pacer) metered() (uint64, float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.meter.total, p.meter.rate(time.Now())
}

// countPast keeps what the links have moved that are about to be forgotten. With mu held.
func (c *Conn) countPast(links ...*link) {
	for _, l := range links {
		read, _ := l.read.metered()
		written, _ := l.write.metered()
		c.past[reading] += read
		c.past[writing] += written
	}
}

// RTT is the smallest round trip of late; 0 where none is known.
func (c *Conn) RTT() time.Duration {
	for _, l := range c.allLinks() {
		if rtt := l.rtt.get(); rtt > 0 {
			return rtt
		}
	}
	return 0
}
