package sftpconn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sshmount/sftpconn/transport"
)

// allLinks returns the links that are up, the one with the channel of names first. The slice must not be changed.
func (c *Conn) allLinks() []*link {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.links
}

// addLink makes a further connection in the background, where the user has asked for
// several and nothing speaks against it by now.
func (c *Conn) addLink() {
	if c.o.MaxConns == 1 {
		return
	}
	c.mu.Lock()
	if c.closed || c.names == nil || c.extra >= c.o.MaxConns-1 || c.noFurther || time.Now().Before(c.extraAfter) {
		c.mu.Unlock()
		return
	}
	c.extra++
	first := c.names.link
	c.mu.Unlock()
	c.spawn(func() {
		err := c.further(first)
		c.mu.Lock()
		c.extra--
		c.extraAfter = time.Now().Add(c.furtherPause(err))
		c.mu.Unlock()
		if err != nil && first.ctx.Err() == nil {
			c.o.Logger.Debug("a further connection ended or could not be made", "cause", err)
		}
	})
}

// furtherPause is how long no further connection is made after one that ended with err. Where the server has refused the login it is
// not tried again: there is a connection that works, and failed logins count against the user. With mu held.
func (c *Conn) furtherPause(err error) time.Duration {
	refusal, ok := errors.AsType[*transport.PermanentError](err)
	if !ok {
		return refusedPause
	}
	if refusal.Login && !c.noFurther {
		c.noFurther = true
		c.o.Logger.Warn("the server refuses a further login; no more connections than there are now are made (max_conns)", "cause", err)
	}
	pause := min(refusedPause<<min(c.extraRefused, 10), backoffRefusedMost)
	c.extraRefused++
	return pause
}

// further dials one more link, and returns when it has ended, and why. It lasts no longer than the first.
func (c *Conn) further(first *link) error {
	ctx, cancel := context.WithTimeout(transport.Further(first.ctx), dialLimit)
	defer cancel()
	t, err := c.o.Dial(ctx)
	if err != nil {
		return err
	}
	l := c.newLink(t)
	l.single.Store(first.single.Load())
	defer func() { l.close(fmt.Errorf("further connection ended: %w", err)) }()
	l.grow(1)
	c.mu.Lock()
	if c.names == nil || c.names.link != first {
		c.mu.Unlock()
		err = errors.New("the first connection was lost meanwhile")
		return err
	}
	c.links = append(slices.Clone(c.links), l)
	c.extraRefused = 0
	c.mu.Unlock()
	c.spawn(l.watchAlive)
	select {
	case <-l.done:
		err = l.cause()
	case <-l.t.Done():
		err = lossOf(l.t)
	case <-first.ctx.Done():
		err = errors.New("the first connection is gone")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.links, l); i >= 0 { // else setDown has counted it
		c.links = slices.Concat(c.links[:i], c.links[i+1:])
		c.countPast(l)
	}
	return err
}
