package sftpconn

import (
	"math/rand/v2"
	"time"
)

const (
	backoffFirst = 100 * time.Millisecond
	backoffMost  = 30 * time.Second
	// backoffWaiting takes the place of backoffMost while a program waits. Spread, that is a pause of 4 s at most.
	backoffWaiting = 2700 * time.Millisecond
	// backoffRefused is the pause after a refusal that trying again won't change. After nudgeRefused a change of the network ends it.
	// Where it was the login that the server has refused, the pause doubles each time, up to backoffRefusedMost, and only the user ends
	// it early: a server that counts failed logins may lock the account.
	backoffRefused     = time.Minute
	backoffRefusedMost = 20 * time.Minute
	nudgeRefused       = 20 * time.Second
)

// backoff is the pause after so many failed attempts. It doubles from backoffFirst to backoffMost,
// or to backoffWaiting while programs wait, and is spread so that many mounts of one server don't
// come back in the same moment.
func (c *Conn) backoff(tries int) time.Duration {
	most := backoffMost
	c.mu.Lock()
	if c.waiting.Load() > 0 && !c.gaveUp {
		most = backoffWaiting
	}
	c.mu.Unlock()
	return spread(min(backoffFirst<<min(tries, 10), most))
}

// spread returns a random time between half of d and one and a half times d.
func spread(d time.Duration) time.Duration { return d/2 + time.Duration(rand.Int64N(int64(d))) }

// pause waits for d. A kick ends it, and so does, when noNudgeBefore is reached, a nudge that came before. It returns false when c is
// closed. patience fires when ReconnectTimeout has passed; it is set to nil then.
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

// nudge is Kick for any other reason than the user's wish: a change of the network, a wake-up, a program that waits. Before
// noNudgeBefore it starts no attempt, which would most likely be one more refused login, but is remembered. noNudgeBefore is a
// wall-clock time because timers stand still while the machine sleeps.
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

// askElsewhere asks, in the background, whether the configuration now leads to another server than the one that has refused. If so
// it ends the pause. Where it is called again meanwhile, it asks once more.
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
