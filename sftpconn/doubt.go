package sftpconn

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// doubt is a change of names that was sent and not answered: the server may have done it, or may do it now.
type doubt struct{ names []string }

// about says whether path may lead elsewhere by it.
func (d *doubt) about(path string) bool {
	return slices.ContainsFunc(d.names, func(name string) bool {
		return path == name || strings.HasPrefix(path, strings.TrimSuffix(name, "/")+"/")
	})
}

// change is retry for what changes names. While it isn't known whether the server
// has done it, files with such a name are not looked for by it: an absent one is not their end, and what is there may be another.
func (c *Conn) change(ctx context.Context, op string, names []string, ask func(ch *channel, again bool) error) error {
	var d *doubt
	if err := c.afterClosing(ctx, names...); err != nil {
		return err
	}
	err := c.retryNow(ctx, op, names[0], func(ch *channel, again bool) error {
		err := ask(ch, again)
		if wasSent(err) && d == nil {
			d = &doubt{names}
			c.mu.Lock()
			c.doubts[d] = struct{}{}
			c.mu.Unlock()
		}
		return err
	})
	if d != nil {
		c.mu.Lock()
		delete(c.doubts, d)
		c.broadcast()
		c.mu.Unlock()
	}
	return err
}

// inDoubt says whether a change of path is in doubt. With mu held.
func (c *Conn) inDoubt(path string) bool {
	for d := range c.doubts {
		if d.about(path) {
			return true
		}
	}
	return false
}

// waitOutDoubt waits until no change of path is in doubt, or ch is over, and says whether it had to wait. It fails where the server
// does not come to an end with the change: it waits as long for that as a server may take to be ready after a connection.
func (c *Conn) waitOutDoubt(ch *channel, path string) (was bool, err error) {
	var limit <-chan time.Time
	for {
		c.mu.Lock()
		doubt, changed := c.inDoubt(path), c.changed
		c.mu.Unlock()
		if !doubt {
			return was, nil
		}
		if !was {
			timer := time.NewTimer(c.readyWithin())
			defer timer.Stop()
			was, limit = true, timer.C
		}
		select {
		case <-changed:
		case <-limit:
			return true, fmt.Errorf("%w: the server does not answer what changes its name", ErrUncertain)
		case <-ch.s.Done():
			return true, nil
		}
	}
}
