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

// about reports whether path may lead to something else by the change.
func (d *doubt) about(path string) bool {
	return slices.ContainsFunc(d.names, func(name string) bool {
		return path == name || strings.HasPrefix(path, strings.TrimSuffix(name, "/")+"/")
	})
}

// change is retry for a request that changes names. While it isn't known whether the server has done it, no
// file is looked for by one of these names: that the name is absent would not mean that the file is gone, and
// what has the name may be another file.
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

// inDoubt reports whether a change of path is in doubt. With mu held.
func (c *Conn) inDoubt(path string) bool {
	for d := range c.doubts {
		if d.about(path) {
			return true
		}
	}
	return false
}

// waitOutDoubt waits until no change of path is in doubt, or the session of ch is over, and reports whether it had to wait. It fails
// where the server does not answer the change within the time that a server may take to be ready after a reconnect.
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
