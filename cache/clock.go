package cache

import (
	"time"

	"sshmount/sftpconn/session"
)

// learnClock compares the server's clock with ours, by a file just made or written, as it was
// asked for at the time sent. An answer that took long says too little of when that was.
func (c *Cache) learnClock(a session.Attr, sent time.Time) {
	if a.Flags&session.HasTimes != 0 && time.Since(sent) < time.Second {
		c.clock.Store(int64(a.Mtime) - time.Now().Unix())
		c.clockKnown.Store(true)
	}
}

// serverNow is the time on the server's clock, as far as it is known, in seconds since 1970.
func (c *Cache) serverNow() int64 { return time.Now().Unix() + c.clock.Load() }

// onServer is the time that the server gives to a change made here at t, as far as its clock is known. Clocks that may be the same, as far as
// whole seconds tell, are taken to be.
func (c *Cache) onServer(t time.Time) time.Time {
	ahead := c.clock.Load()
	if max(ahead, -ahead) <= clockBlur {
		return t
	}
	return t.Add(time.Duration(ahead) * time.Second)
}

// ChangeTime is the time of a change that is made now: programs compare it with the times that the server gives to what they write.
func (c *Cache) ChangeTime() time.Time { return c.onServer(time.Now()) }
