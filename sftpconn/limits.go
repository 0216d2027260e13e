package sftpconn

import (
	"time"

	"sshmount/sftpconn/session"
)

// MaxRead is the largest useful piece of a read, in bytes. It never waits.
func (c *Conn) MaxRead() int { return int(c.limits().MaxRead) }

// MaxWrite is the largest useful piece of a write, in bytes. It never waits.
func (c *Conn) MaxWrite() int { return int(c.limits().MaxWrite) }

// MaxRead is that of the connection.
func (f *File) MaxRead() int { return f.c.MaxRead() }

// MaxWrite is that of the connection.
func (f *File) MaxWrite() int { return f.c.MaxWrite() }

// RTT is that of the connection.
func (f *File) RTT() time.Duration { return f.c.RTT() }

// limits says how large requests may be. It never waits, since those who ask have no
// context to end that: while a new session has not been told yet, what the one before
// was told is as good as any guess, and what is too large for this one is refused.
func (c *Conn) limits() session.Limits {
	s := c.newest.Load()
	if s == nil {
		return session.DefaultLimits
	}
	l, told := s.Limits()
	if told {
		if last := c.lastLimits.Load(); last == nil || *last != l {
			c.lastLimits.Store(&l)
		}
	} else if last := c.lastLimits.Load(); last != nil {
		return *last
	}
	return l
}
