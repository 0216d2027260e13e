package sftpconn

import (
	"errors"
	"slices"
	"time"

	"sshmount/sftpconn/transport"
)

// A server answers the requests of a channel in order. A request that blocks (the opening of a
// FIFO that has taken the name of a file, a file system that waits for another host) holds up
// all names, while the line is well and keepalives are answered. Slow is not dead: a request
// that somebody waits for is never cut off, but others get a channel beside it.

// stuckLook is how often stuck requests are looked for.
const stuckLook = time.Second

// Variables for the tests.
var (
	// stuckAfter is the age of a request from which on others get a channel beside it.
	stuckAfter = 15 * time.Second
	// stuckGivenUp is how long requests may wait behind an OPEN that nobody wants any more. Then its channel is closed, and they are
	// sent again on another.
	stuckGivenUp = 5 * time.Second
)

// freeStuck looks for requests that hold up others, and gives those others another channel. It is called by the goroutine that watches
// the link.
func (c *Conn) freeStuck(l *link) {
	for _, ch := range l.channels() {
		stall := ch.s.Stall()
		unwanted := stall.Opening && stall.GivenUp
		giveUp := unwanted && stall.Behind > stuckGivenUp
		if giveUp && !c.irreplaceable(ch) {
			c.o.Logger.Warn("the server does not come to an end with opening a file that nobody wants any more; "+
				"its channel is closed, because others wait behind it", "for", stall.Age.Round(time.Second))
			ch.s.Close()
			continue
		}
		switch stuck := stall.Age > stuckAfter; {
		case ch == l.names && (stuck && stall.Behind > 0 || giveUp):
			c.replaceStuck(l, stall.Age)
		case ch.former.Load() && !stuck && !unwanted:
			l.makeBulk(ch)
		}
	}
}

// irreplaceable reports whether a file that has no name any more is open on ch and nowhere else: it could not be opened again. Files
// with a name are found again by it, as after a lost connection.
func (c *Conn) irreplaceable(ch *channel) bool {
	return slices.ContainsFunc(c.openFiles(), func(f *File) bool { return f.needs(ch) && f.r.Path() == "" })
}

// replaceStuck opens another channel of names. The one that is stuck stays, for the requests that are in flight on it and the files
// that are open there.
func (c *Conn) replaceStuck(l *link, age time.Duration) {
	if time.Now().Before(l.stuckPause) {
		return
	}
	l.countOpening()
	var names *channel
	err := l.openCounted(nil, func(ch *channel, err error) {
		if err != nil {
			return
		}
		ch.names = true
		l.former = append(l.former, l.names)
		l.names.former.Store(true)
		l.names.stuck.Store(true)
		l.names, names = ch, ch
	})
	if err != nil {
		l.stuckPause = time.Now().Add(refusedPause)
		switch {
		case l.cause() != nil:
		case errors.Is(err, transport.ErrNoMoreChannels) && l.yield(true):
			l.stuckPause, l.yielded = time.Now().Add(leaving), true
		default:
			c.o.Logger.Warn("names wait for one request, and no other channel for them is to be had", "for", age.Round(time.Second), "cause", err)
		}
		return
	}
	c.o.Logger.Warn("names waited for one request; there is another channel for them now", "for", age.Round(time.Second))
	c.useForNames(names, nil)
}

// makeBulk makes a bulk channel of a former channel of names on which the server answers again. If a bulk channel was given up for
// names (yielded), there may be as many as before again, even if this one is closed by now.
func (l *link) makeBulk(ch *channel) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.former, ch)
	if l.err != nil || i < 0 {
		return
	}
	ch.stuck.Store(false)
	l.former = slices.Delete(slices.Clone(l.former), i, i+1)
	if l.yielded {
		l.yielded = false
		l.most.Add(1)
	}
	if ch.over() {
		l.full, l.droppedAt = false, time.Now() // its place may be granted again
		return
	}
	l.addBulk(ch)
	l.c.spawn(func() {
		<-ch.s.Done()
		l.drop(ch)
	})
}
