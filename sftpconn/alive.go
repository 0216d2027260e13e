package sftpconn

import (
	"errors"
	"fmt"
	"net"
	"time"

	"sshmount/sftpconn/transport"
)

const (
	// idleProbe is how often a connection with nothing outstanding is probed, so that no
	// NAT forgets it, and a dead line is noticed before it is needed.
	idleProbe = 30 * time.Second

	// busyFactor lengthens the patience with a transport that has no probe of its own
	// while requests wait on each of its channels: the probe is then a request behind
	// them, and a slow answer looks like silence. The same goes for a server that has said nothing
	// since the login: what sshd does at the beginning of a session (PAM) keeps it from answering probes.
	busyFactor = 4

	// aliveLook is the longest time between two looks for silence while something is outstanding, and quietLook while nothing is: a mount
	// that nobody uses should not wake the processor. A dead line is not noticed later for that, because a request knows since when it
	// waits.
	aliveLook = time.Second
	quietLook = 5 * time.Second

	// leastAlive is the least number of silent intervals that end a connection: one until it is probed, and one for the answer.
	leastAlive = 2
)

// watch waits for the end of the first link, and returns why it must be given up. Where
// only the channel of names is lost it opens another.
func (c *Conn) watch(l *link) error {
	pace := stuckLook
	look := time.NewTicker(pace)
	defer look.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return ErrClosed
		case <-l.done:
			return l.cause()
		case <-l.t.Done():
			return l.loss()
		case <-c.kick:
			l.suspect()
		case <-look.C:
			c.freeStuck(l)
			pace = repace(look, pace, stuckLook, stuckAfter/3, l.inFlight() > 0)
		case <-l.names.s.Done():
			cause := l.names.s.Err()
			ch, err := c.replaceNames(l)
			if err != nil {
				if why := l.cause(); why != nil {
					return why
				}
				return cause
			}
			c.o.Logger.Warn("the channel of names was lost and opened again", "cause", cause)
			c.useForNames(ch, cause)
		}
	}
}

// useForNames makes ch, of the link that there is, the channel of names. cause is why the one before was lost; nil where it was not.
func (c *Conn) useForNames(ch *channel, cause error) {
	c.newest.Store(ch.s)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.names = ch
	if cause != nil {
		c.lastErr = cause
	}
	c.broadcast()
}

// replaceNames opens another channel of names on the same link. It fails for a link that
// loses that channel again soon.
func (c *Conn) replaceNames(l *link) (*channel, error) {
	if time.Since(l.names.since) < steady && !l.firstLoss() {
		return nil, errors.New("the channel of names was lost again")
	}
	// The loss of the transport shows on its channels first: give it a moment to be known.
	select {
	case <-l.t.Done():
		return nil, lossOf(l.t)
	case <-time.After(20 * time.Millisecond):
	}
	l.countOpening()
	var names *channel
	err := l.openCounted(nil, func(ch *channel, err error) {
		if err == nil {
			ch.names = true
			l.names, names = ch, ch
		}
	})
	return names, err
}

// loss returns why the transport of a first link is over. A transport that carries a single session is closed on this side when that
// session ends, and knows no other reason; the session knows the real one.
func (l *link) loss() error {
	err := lossOf(l.t)
	if why := l.names.s.Err(); why != nil && errors.Is(err, net.ErrClosed) {
		return why
	}
	return err
}

func lossOf(t transport.Transport) error {
	if err := t.Err(); err != nil {
		return err
	}
	return errors.New("the connection ended")
}

// silenceError ends a link whose line was silent. It says nothing about the server.
type silenceError struct{ quiet time.Duration }

func (e *silenceError) Error() string {
	return fmt.Sprintf("no byte from the server for %v while waiting for an answer", e.quiet.Round(time.Millisecond))
}

func isSilence(err error) bool {
	_, ok := errors.AsType[*silenceError](err)
	return ok
}

// watchAlive closes the link when it has been silent for too long, also before its first channel is open. It
// returns when the link has ended. Slow is not dead: any byte that comes counts, on whatever channel, and so do
// bytes of ours that arrive.
func (l *link) watchAlive() {
	interval := l.c.o.AliveInterval
	if interval < 0 {
		return
	}
	busy := min(max(interval/4, 10*time.Millisecond), aliveLook)
	pace := busy
	tick := time.NewTicker(pace)
	defer tick.Stop()
	now := time.Now()
	w := &silence{l: l, interval: interval, probedAt: now, looked: now, heard: now, last: l.t.LastReceived()}
	for {
		suspected := false
		select {
		case <-l.ctx.Done():
			return
		case <-tick.C:
		case <-l.suspected:
			suspected = true
		}
		now := time.Now()
		w.look(now, suspected)
		if limit, ends := w.limit(now); ends && w.outstanding && w.still(now) > limit {
			l.close(&silenceError{w.quiet(now)})
			return
		}
		if w.probeDue(now, suspected) {
			w.probe(now)
		}
		pace = repace(tick, pace, busy, min(interval, quietLook), w.outstanding || w.probing != nil)
	}
}

// repace sets the period of a ticker: busy while something is outstanding, else idle where that is longer. It returns the period. now is
// the period that it has had until now.
func repace(t *time.Ticker, now, busy, idle time.Duration, outstanding bool) time.Duration {
	pace := busy
	if !outstanding {
		pace = max(busy, idle)
	}
	if pace != now {
		t.Reset(pace)
	}
	return pace
}

// probe asks the other side for a sign of life, and closes done at its answer or
// with the link. Where the transport has no such question of its own, the cheapest
// request there is takes its place.
func (l *link) probe(done chan struct{}) {
	defer close(done)
	if !l.noProbe.Load() {
		if err := l.t.Probe(l.ctx); !errors.Is(err, transport.ErrNoProbe) {
			return
		}
		l.noProbe.Store(true)
	}
	ch := l.soonest()
	if ch == nil {
		return
	}
	call := ch.s.Realpath(".")
	select {
	case <-call.Done():
		l.sample(call)
	case <-l.ctx.Done():
	}
}

// probeWaits reports whether the answer to a probe comes only after the answer to another request, or after the greeting, and whether
// that may rightly take minutes (slow). If slow, silence proves nothing: a dead line is then noticed by the layers below (ssh has
// keepalives of its own, and TCP sends the probe again until it gives up).
func (l *link) probeWaits() (waits, slow bool) {
	if !l.noProbe.Load() {
		return false, false
	}
	ch := l.soonest()
	if ch == nil {
		return true, false
	}
	slow = ch.s.Slow()
	return slow || ch.s.InFlight() > 1, slow // one is the probe itself
}
