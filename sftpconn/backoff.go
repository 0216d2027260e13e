package sftpconn

import (
	"math/rand/v2"
	"time"
)

const (
	backoffFirst = 100 * time.Millisecond
	backoffMost  = 30 * time.Second
	// backoffWaiting bounds the pause while a program waits, before it is spread: at most 4 s then.
	backoffWaiting = 2700 * time.Millisecond
	// backoffRefused is the pause after a refusal that trying again won't change, which the network may end after nudgeRefused. Where
	// the server has judged the login it doubles up to backoffRefusedMost, and only the user ends it before its time: a server
	// that counts failed logins must not be provoked, and an account not be locked.
	backoffRefused     = time.Minute
	backoffRefusedMost = 20 * time.Minute
	nudgeRefused       = 20 * time.Second
)

// backoff doubles from backoffFirst to backoffMost, or to backoffWaiting while programs
// wait; spread so that many mounts of one server don't come back in the same moment.
func (c *Conn) backoff(tries int) time.Duration {
	most := backoffMost
	c.mu.Lock()
	if c.waiting.Load() > 0 && !c.gaveUp {
		most = backoffWaiting
	}
	c.mu.Unlock()
	return spread(min(backoffFirst<<min(tries, 10), most))
}

// spread gives a time between half of d and one and a half.
func spread(d time.Duration) time.Duration { return d/2 + time.Duration(rand.Int64N(int64(d))) }

// pause waits for d or a kick, or until a nudge that came too early counts (noNudgeBefore). It says false when c is closed. patience
// is when to give up; it is nil from then on.
func (c *Conn) pause(d time.Duration, patience *<-chan time.Time) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	c.mu.Lock()
	held := time.NewTimer(time.Until(c.noNudgeBefore))
	c.mu.Unlock()
	defer held.Stop()
	for {
		select {
		case <-t.C:
			return true
		case <-held.C:
			c.mu.Lock()
			nudged := c.nudged
			c.mu.Unlock()
			if nudged {
				return true
			}
		case <-c.kick:
			return true
		case <-*patience:
			*patience = nil
			c.giveUp()
		case <-c.ctx.Done():
			return false
		}
	}
}

// nudge is Kick for another cause than the user: a change of the network, a wake-up, a program that waits. Before noNudgeBefore it
// starts no attempt, which would most likely be one more refused login; it is remembered. noNudgeBefore is a time of day because
// timers stand still while the machine sleeps.
func (c *Conn) nudge() {
	c.mu.Lock()
	held := time.Now().Round(0).Before(c.noNudgeBefore)
	c.nudged = c.nudged || held
	c.mu.Unlock()
	if !held {
		c.Kick()
	} else {
		c.askElsewhere()
	}
}

// askElsewhere finds out whether the configuration leads now to another server than the one that has refused, and if so ends the pause.
// Events that come meanwhile have it asked once more.
func (c *Conn) askElsewhere() {
	if c.o.Elsewhere == nil || c.elsewhere.Add(1) > 1 {
		return
	}
	c.spawn(func() {
		for again := true; again; {
			asked := c.elsewhere.Load()
			if c.o.Elsewhere(c.ctx) {
				c.elsewhere.Store(0) // the attempt reads the configuration itself
				c.Kick()
				return
			}
			again = !c.elsewhere.CompareAndSwap(asked, 0)
		}
	})
}
