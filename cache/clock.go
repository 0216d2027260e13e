package cache

import (
	"time"

	"sshmount/sftpconn/session"
)

// learnClock compares the server's clock with ours, by the mtime in a of a file that the server has just made or written, for which it was
// asked at sent. An answer that has taken long says too little.
//
// In whole seconds, mtimes tell by how much the server's clock is ahead at least, and at most. What was learnt before stays where it is
// between these: were it to go back and forth by a second, what is touched later could get an earlier time.
func (c *Cache) learnClock(a session.Attr, sent time.Time) {
	if a.Flags&session.HasTimes == 0 || time.Since(sent) >= time.Second {
		return
	}
	told := time.Unix(int64(a.Mtime), 0)
	least, most := time.Until(told), told.Sub(sent)+clockBlur*time.Second
	if was := c.clockAhead(); !c.clockKnown.Load() || was < least || was > most {
		c.clock.CompareAndSwap(int64(was), int64(least))
	}
	c.clockKnown.Store(true)
}

// clockAhead is by how much the server's clock is ahead of ours; 0 where that is not known.
func (c *Cache) clockAhead() time.Duration { return time.Duration(c.clock.Load()) }

// serverNow is the time on the server's clock, as far as that is known, in seconds since 1970.
func (c *Cache) serverNow() int64 { return time.Now().Add(c.clockAhead()).Unix() }

// onServer is the time that the server gives to a change made here at t, as far as its clock is known. Clocks that may show the same time, as
// far as whole seconds tell, are taken to.
func (c *Cache) onServer(t time.Time) time.Time {
	if ahead := c.clockAhead(); ahead.Abs() > clockBlur*time.Second {
		return t.Add(ahead)
	}
	return t
}

// ChangeTime is the time for a change that is made now. It is on the server's clock, as programs compare it with the times that the server gives
// to what they write.
func (c *Cache) ChangeTime() time.Time { return c.onServer(time.Now()) }
