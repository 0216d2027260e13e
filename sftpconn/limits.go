package sftpconn

import (
	"time"

	"sshmount/sftpconn/session"
)

// MaxRead is the most bytes that one READ can return. It never waits.
func (c *Conn) MaxRead() int { return int(c.limits().MaxRead) }

// MaxWrite is the most bytes that one WRITE can carry. It never waits.
func (c *Conn) MaxWrite() int { return int(c.limits().MaxWrite) }

// MaxRead is Conn.MaxRead.
func (f *File) MaxRead() int { return f.c.MaxRead() }

// MaxWrite is Conn.MaxWrite.
func (f *File) MaxWrite() int { return f.c.MaxWrite() }

// Spare returns how many more files the server will surely open; known is false where that can't be told. It never waits.
func (c *Conn) Spare() (n int, known bool) {
	if s := c.newest.Load(); s != nil {
		return s.Spare()
	}
	return 0, false
}

// RTT is Conn.RTT.
func (f *File) RTT() time.Duration { return f.c.RTT() }

// limits returns how large requests may be. It does not wait, because its callers have no
// context to end that. While a new session does not know its limits, those of the session
// before are the best guess; a request that is too large is refused.
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
