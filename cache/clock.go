package cache

import (
	"time"

	"sshmount/sftpconn/session"
)

// learnClock compares the server's clock with ours, by a file just made or written, as it was
// asked for at the time sent. An answer that took long says too little of when that was.
//
// Whole seconds tell that the server's clock is so far ahead at least. What was learnt stays where it fits in with that: were it to
// go back and forth by the second, what is touched later could get an earlier time.
func (c *Cache) learnClock(a session.Attr, sent time.Time) {
	if a.Flags&session.HasTimes == 0 || time.Since(sent) >= time.Second {
		return
	}
	told := time.Unix(int64(a.Mtime), 0)
	least, most := time.Until(told), told.Sub(sent)+clockBlur*time.Second
	if was := c.ahead(); !c.clockKnown.Load() || was < least || was > most {
		c.clock.CompareAndSwap(int64(was), int64(least))
	}
	c.clockKnown.Store(true)
}

// ahead is by how much the server's clock is ahead of ours, as far as it is known.
func (c *Cache) ahead() time.Duration { return time.Duration(c.clock.Load()) }

// serverNow is the time on the server's clock, as far as it is known, in seconds since 1970.
func (c *Cache) serverNow() int64 { return time.Now().Add(c.ahead()).Unix() }

// onServer is the time that the server gives to a change made here at t, as far as its clock is known. Clocks that may be the same, as far as
// whole seconds tell, are taken to be.
func (c *Cache) onServer(t time.Time) time.Time {
	if ahead := c.ahead(); ahead.Abs() > clockBlur*time.Second {
		return t.Add(ahead)
	}
	return t
}

// ChangeTime is the time of a change that is made now: programs compare it with the times that the server gives to what they write.
func (c *Cache) ChangeTime() time.Time { return c.onServer(time.Now()) }
