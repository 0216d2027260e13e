package sftpconn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"sshmount/sftpconn/transport"
)

const (
	// steady is how long a connection must have lasted to count as good. After a shorter
	// one the back-off begins as if triesShort attempts had failed, and one more for each
	// short one before it, so that a server which drops every client is not hammered.
	steady     = 10 * time.Second
	triesShort = 2

	// dialLimit bounds a dialer that has no limit of its own.
	dialLimit = 3 * time.Minute
	// openLimit bounds the opening of a further channel and its greeting, on a connection that has one already.
	openLimit = 30 * time.Second

	// redialAge is the age from which an attempt is given up for a new one when the
	// network has changed: its packets may go to an address that is gone.
	redialAge = 2 * time.Second
)

// manage owns the state of the connection: it watches the link, and when that is
// lost dials until there is another.
func (c *Conn) manage(l *link) {
	short := 0 // connections in a row that were not steady
	for {
		up := time.Now()
		cause := c.watch(l)
		l.close(cause)
		if c.ctx.Err() != nil {
			return
		}
		tries := 0
		if time.Since(up) < steady && c.hasReconnected() {
			tries = triesShort + short
			short++
		} else {
			short = 0
		}
		if !c.setDown(cause) {
			return
		}
		if l = c.redial(tries); l == nil {
			return
		}
		c.setUp(l)
	}
}

// muteError ends an attempt whose login has succeeded, but whose SFTP server does not answer.
type muteError struct{ within time.Duration }

func (e *muteError) Error() string {
	return fmt.Sprintf("no SFTP session within %v of the login", e.within)
}

// dial makes a link with its channel of names. The dialer bounds the login. From then on watchAlive looks after
// the line, which may fall silent before the SFTP server has greeted. The greeting may take as long as within; with 0, as
// long as ctx lasts.
func (c *Conn) dial(ctx context.Context, within time.Duration) (*link, error) {
	t, err := c.o.Dial(ctx)
	if err != nil {
		return nil, err
	}
	l := c.newLink(t)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(l.ctx, func() { cancel(l.cause()) })()
	if within > 0 {
		defer time.AfterFunc(within, func() { cancel(&muteError{within}) }).Stop()
	}
	l.countOpening()
	c.spawn(l.watchAlive)
	err = l.openCountedWithin(ctx, nil, func(ch *channel, err error) {
		if err == nil {
			ch.names = true
			l.names = ch
		}
	})
	if err != nil {
		if why := l.cause(); why != nil {
			err = why
		}
		l.close(err)
		return nil, err
	}
	return l, nil
}

// setUp makes l the connection, and wakes those who wait for one.
func (c *Conn) setUp(l *link) {
	c.newest.Store(l.names.s)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.names = l.names
	c.links = []*link{l}
	c.info = l.t.Info()
	c.gaveUp, c.nudged, c.noNudgeBefore, c.nextTry, c.since = false, false, time.Time{}, time.Time{}, time.Now()
	c.broadcast()
	if c.closed {
		l.close(ErrClosed)
	}
}

// setDown notes the loss of the connection, and reports whether another is wanted.
func (c *Conn) setDown(cause error) bool {
	c.mu.Lock()
	links := c.links
	c.names, c.links = nil, nil
	c.countPast(links...)
	c.lastErr, c.since = cause, time.Now()
	final := c.o.NoReconnect || c.trial
	if final {
		c.final = fmt.Errorf("%w: the connection was lost, and no other is wanted: %w", ErrUnreachable, cause)
		c.cancelBounded()
	}
	c.broadcast()
	c.mu.Unlock()
	c.o.Logger.Warn("connection lost", "cause", cause, "reconnect", !final)
	for _, l := range links {
		l.close(cause)
	}
	return !final
}

// Settle ends the trial (Options.Trial): from now on a lost connection is replaced by another.
func (c *Conn) Settle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trial = false
}

// cancelBounded ends the contexts of Bounded. With mu held.
func (c *Conn) cancelBounded() {
	err := c.unreachable()
	for cancel := range c.bounded {
		(*cancel)(err)
	}
	clear(c.bounded)
}

// giveUp has all requests fail that wait for a connection: there has been none for ReconnectTimeout.
func (c *Conn) giveUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gaveUp = true
	c.cancelBounded()
	c.broadcast()
	c.o.Logger.Warn("still no connection; requests fail until there is one", "after", c.o.ReconnectTimeout, "cause", c.lastErr)
}

func (c *Conn) hasReconnected() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reconnects > 0
}

// redial dials until there is a link; it returns nil when c is closed. tries is how many
// attempts count as failed already, for the back-off.
func (c *Conn) redial(tries int) *link {
	var patience <-chan time.Time
	if c.o.ReconnectTimeout > 0 {
		t := time.NewTimer(c.o.ReconnectTimeout)
		defer t.Stop()
		patience = t.C
	}
	pause := time.Duration(rand.Int64N(int64(backoffFirst)))
	if tries > 0 {
		pause = c.backoff(tries)
	}
	within := c.o.GreetTimeout
	for refusals := 0; ; {
		c.mu.Lock()
		c.nextTry = time.Now().Add(pause)
		c.mu.Unlock()
		if !c.pause(pause, &patience) {
			return nil
		}
		tries++
		l, err := c.attempt(&patience, within)
		if c.ctx.Err() != nil {
			if l != nil {
				l.close(ErrClosed)
			}
			return nil
		}
		if err == nil {
			if err = c.awaitRoot(l, &patience); err != nil {
				l.close(err)
			}
			if c.ctx.Err() != nil {
				return nil
			}
		}
		if err == nil {
			c.mu.Lock()
			c.reconnects++
			down := time.Since(c.since)
			c.mu.Unlock()
			c.o.Logger.Info("connected again", "down", down.Round(time.Millisecond), "attempts", tries)
			return l
		}
		if _, mute := errors.AsType[*muteError](err); mute {
			within *= 2
		}
		var noNudgeBefore time.Time
		pause, noNudgeBefore = c.pauseAfter(err, tries, &refusals)
		c.mu.Lock()
		c.lastErr, c.noNudgeBefore, c.nudged = err, noNudgeBefore, false
		c.failures++
		c.broadcast()
		c.mu.Unlock()
		c.o.Logger.Log(c.ctx, attemptLevel(tries), "cannot connect", "cause", err, "next", pause.Round(time.Millisecond))
	}
}

// pauseAfter returns the pause after an attempt that has failed with err, and the new Conn.noNudgeBefore. tries counts the attempts,
// refusals those whose login the server has refused.
func (c *Conn) pauseAfter(err error, tries int, refusals *int) (pause time.Duration, noNudgeBefore time.Time) {
	refusal, ok := errors.AsType[*transport.PermanentError](err)
	if !ok {
		return c.backoff(tries), time.Time{}
	}
	pause = spread(backoffRefused)
	held := nudgeRefused
	if refusal.Login {
		pause = spread(min(backoffRefused<<min(*refusals, 10), backoffRefusedMost))
		*refusals++
		held = pause
	}
	return pause, time.Now().Round(0).Add(held)
}

// attemptLevel is the level at which a failed attempt is logged. It keeps a long outage from filling the log.
func attemptLevel(tries int) slog.Level {
	if tries <= 3 || tries%20 == 0 {
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

// attempt dials. When the network changes meanwhile it gives the attempt up and dials anew:
// at once where the attempt is old enough (redialAge), else when it is. The age doubles each
// time, so that a slow login succeeds although the network changes all the time. within is as for dial.
func (c *Conn) attempt(patience *<-chan time.Time, within time.Duration) (*link, error) {
	type result struct {
		l   *link
		err error
	}
	for age := redialAge; ; age *= 2 {
		ctx, cancel := context.WithTimeout(c.ctx, dialLimit)
		results := make(chan result, 1)
		if !c.spawn(func() {
			l, err := c.dial(ctx, within)
			results <- result{l, err}
		}) {
			cancel()
			return nil, ErrClosed
		}
		old := time.NewTimer(age)
		for changed, again := false, false; !again; {
			var due <-chan time.Time
			if changed {
				due = old.C
			}
			select {
			case r := <-results:
				old.Stop()
				cancel()
				return r.l, r.err
			case <-*patience:
				*patience = nil
				c.giveUp()
			case <-c.kick:
				changed = true
			case <-due:
				again = true
			}
		}
		cancel()
		r := <-results
		_, refused := errors.AsType[*transport.PermanentError](r.err)
		if r.err == nil || refused && !errors.Is(r.err, context.Canceled) {
			return r.l, r.err
		}
	}
}
