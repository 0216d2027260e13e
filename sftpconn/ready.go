package sftpconn

import (
	"context"
	"fmt"
	"time"
)

// lookPatience is how long an answer about the root is waited for: a file system that hangs is for those to wait for who use it.
const lookPatience = 10 * time.Second

// KeepIn says that everything is in the directory root. After a reconnect nobody is served before that is there, for as long as
// a server that has just started may need to mount it: what is asked before would be refused, or be done elsewhere.
func (c *Conn) KeepIn(root string) { c.root.Store(&root) }

// awaitRoot waits until the root is there, and no longer than the server may need. Its error is the end of the link, or of c.
func (c *Conn) awaitRoot(l *link, patience *<-chan time.Time) error {
	root := c.root.Load()
	if root == nil {
		return nil
	}
	c.mu.Lock()
	c.noNudgeBefore, c.nudged = time.Time{}, false // the server has let us in, whatever it has refused before
	c.mu.Unlock()
	begun := time.Now()
	for tries := 1; ; tries++ {
		ctx, cancel := context.WithTimeout(c.ctx, lookPatience)
		err := l.names.wait(ctx, l.names.s.Stat(*root))
		cancel()
		switch {
		case c.ctx.Err() != nil:
			return c.ctx.Err()
		case isLost(err):
			return err
		case !isAbsent(err) || time.Since(begun) > c.readyWithin():
			return nil // of other errors those are told who ask
		}
		if tries == 1 {
			c.o.Logger.Warn("connected again, and the mounted directory is not there; the server may not be ready", "path", *root, "cause", err)
		}
		pause := c.backoff(tries)
		c.mu.Lock()
		c.lastErr = fmt.Errorf("the mounted directory %q is not there yet: %w", *root, err)
		c.nextTry = time.Now().Add(pause)
		c.failures++ // LastTry waits for no more than one
		c.broadcast()
		c.mu.Unlock()
		if !c.pause(pause, patience) {
			return c.ctx.Err()
		}
	}
}
