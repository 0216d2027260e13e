package sftpconn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netns"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/transport"
)

// Conn is the remote side. Its methods may be called from several goroutines.
// Each waits for a connection where there is none, until ctx ends (its cause is
// returned), ReconnectTimeout passes (ErrUnreachable), or, in a context made by
// Patient, for as long as it takes. Errors wrap *session.StatusError where the
// server refused.
type Conn struct {
	o      Options
	ctx    context.Context // ends with Close; of every goroutine of the connection
	cancel context.CancelFunc
	kick   chan struct{} // capacity 1: try, or probe, at once
	clock  clock

	spawning sync.Mutex     // guards ended and the growth of wg; a leaf
	ended    bool           // Close waits: there must be no goroutine more
	wg       sync.WaitGroup // every goroutine

	mu      sync.Mutex    // guards what follows, down to doubts
	changed chan struct{} // closed and replaced whenever what follows changes for those who wait
	closed  bool
	since   time.Time // when the connection was made, or lost where there is none

	// The connection, where there is one.
	names      *channel       // nil while there is none
	links      []*link        // the first is that of names; replaced as a whole, never changed
	info       transport.Info // of the last
	past       [2]uint64      // bytes moved by links that are gone, by direction
	reconnects int

	// Further links (addLink).
	extra        int       // those that are up or being dialled
	extraAfter   time.Time // none is dialled before
	extraRefused int       // of those that were dialled since one was made, how many were refused for good
	noFurther    bool      // the server refuses logins beside the first

	// Attempts to connect.
	lastErr       error     // why the last connection ended, or the last attempt failed
	failures      int       // attempts that have failed, ever
	nextTry       time.Time // when the pause between two attempts ends; zero while there is a connection
	noNudgeBefore time.Time // after a refusal: until then no nudge starts an attempt, by the clock of the day, so that sleep counts; zero: no refusal
	nudged        bool      // there was a nudge before that time, which counts then

	// Those who wait for a connection.
	trial   bool                                  // a loss now is final (Options.Trial)
	final   error                                 // there is no connection ever again, for this reason
	gaveUp  bool                                  // there has been none for ReconnectTimeout, and requests fail until there is
	bounded map[*context.CancelCauseFunc]struct{} // of the contexts of Bounded that have not ended
	doubts  map[*doubt]struct{}                   // changes of names whose outcome is not known

	bitsMu sync.Mutex // guards owings and what they are; after File.mu, before the sessions' locks
	owings map[*owing]struct{}

	filesMu  sync.Mutex // guards what follows; a leaf
	files    map[*File]struct{}
	closings map[*closing]struct{}

	newest     atomic.Pointer[session.Session] // the last session of names, maybe over
	lastLimits atomic.Pointer[session.Limits]  // what a session of names was told last; nil before

	waiting   atomic.Int64 // callers that wait for a connection
	elsewhere atomic.Int32 // events since askElsewhere has begun to ask; 0 where it does not
	smalls    atomic.Int64 // small files read over the channel of names
	journal   journal

	refusesBits atomic.Bool // warnOfBits has said so

	clockAhead atomic.Int64 // seconds that the server's clock is ahead of ours, as far as known
}

// New logs in for the first time; its error is the user's to read.
func New(ctx context.Context, o Options) (*Conn, error) {
	if o.Dial == nil {
		return nil, errors.New("no dialer was given for the connection")
	}
	c := newConn(o)
	l, err := c.dial(ctx, 0)
	if err != nil {
		c.cancel()
		c.wait()
		return nil, err
	}
	c.setUp(l)
	c.spawn(func() { c.manage(l) })
	c.spawn(func() { c.watchNetwork(netns.None()) })
	c.spawn(c.watchClock)
	return c, nil
}

func newConn(o Options) *Conn {
	o.fill()
	c := &Conn{
		o:        o,
		kick:     make(chan struct{}, 1),
		changed:  make(chan struct{}),
		bounded:  make(map[*context.CancelCauseFunc]struct{}),
		files:    make(map[*File]struct{}),
		closings: make(map[*closing]struct{}),
		doubts:   make(map[*doubt]struct{}),
		owings:   make(map[*owing]struct{}),
		since:    time.Now(),
		trial:    o.Trial,
	}
	c.clock.start()
	c.journal.start()
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// Close ends the connection and every goroutine of it; waiting calls fail with ErrClosed. The error is always nil.
func (c *Conn) Close() error {
	c.mu.Lock()
	c.closed = true
	links := c.links
	c.broadcast()
	c.mu.Unlock()
	for _, l := range links {
		l.leave() // before it is closed for the end of the context
	}
	c.cancel()
	for _, l := range links {
		l.close(ErrClosed)
	}
	c.wait()
	return nil
}

// spawn runs f in a goroutine that Close waits for. It says false, and does not run f,
// when Close is there already.
func (c *Conn) spawn(f func()) bool {
	c.spawning.Lock()
	defer c.spawning.Unlock()
	if c.ended {
		return false
	}
	c.wg.Go(f)
	return true
}

// wait waits for the end of every goroutine, and lets none begin.
func (c *Conn) wait() {
	c.spawning.Lock()
	c.ended = true
	c.spawning.Unlock()
	c.wg.Wait()
}

// broadcast wakes those who wait for a change. With mu held.
func (c *Conn) broadcast() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// whenChanged gives what is closed at the next change for those who wait.
func (c *Conn) whenChanged() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

// Bounded makes a context that ends, with cause ErrUnreachable, when the line
// has been down for ReconnectTimeout.
func (c *Conn) Bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.unreachable(); err != nil {
		cancel(err)
	} else {
		c.bounded[&cancel] = struct{}{}
	}
	return ctx, func() {
		c.mu.Lock()
		delete(c.bounded, &cancel)
		c.mu.Unlock()
		cancel(context.Canceled)
	}
}

// unreachable is the error of those who need not wait any longer; nil while waiting makes sense. With mu held.
func (c *Conn) unreachable() error {
	switch {
	case c.closed:
		return ErrClosed
	case c.final != nil:
		return c.final
	case c.gaveUp:
		return fmt.Errorf("%w: no connection for %v: %w", ErrUnreachable, time.Since(c.since).Round(time.Second), c.lastErr)
	}
	return nil
}

// channel gives the channel of names, waiting for a connection as ctx allows.
func (c *Conn) channel(ctx context.Context) (*channel, error) {
	asker := askerOf(ctx)
	for first := true; ; first = false {
		if err := cmp.Or(ended(ctx), ended(asker)); err != nil {
			return nil, err
		}
		c.mu.Lock()
		ch, changed := c.names, c.changed
		err := c.unreachable()
		patient := err != nil && c.final == nil && !c.closed && isPatient(ctx)
		c.mu.Unlock()
		if c.isUp(ch) {
			return ch, nil
		}
		if err != nil && !patient {
			return nil, err
		}
		if first && (c.clock.jumped() || c.pausesLong()) {
			c.nudge()
		}
		c.waiting.Add(1)
		select {
		case <-changed:
		case <-ctx.Done():
		case <-asker.Done():
		}
		c.waiting.Add(-1)
	}
}

// pausesLong says whether the next attempt is further away than somebody who waits should have to wait. After a refusal
// it stays so: a server that counts failed logins must not be provoked.
func (c *Conn) pausesLong() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.noNudgeBefore.IsZero() && time.Until(c.nextTry) > 2*backoffWaiting
}

func (c *Conn) isUp(ch *channel) bool { return ch != nil && !ch.over() }

// Has says whether the server has an extension (of the newest connection).
func (c *Conn) Has(extension string) bool {
	s := c.newest.Load()
	return s != nil && s.Has(extension)
}

// openFiles gives all files that are not closed.
func (c *Conn) openFiles() []*File {
	c.filesMu.Lock()
	defer c.filesMu.Unlock()
	return slices.Collect(maps.Keys(c.files))
}

// keep notes that f is open.
func (c *Conn) keep(f *File) {
	c.filesMu.Lock()
	defer c.filesMu.Unlock()
	c.files[f] = struct{}{}
}

// forget notes that f is closed.
func (c *Conn) forget(f *File) {
	c.filesMu.Lock()
	defer c.filesMu.Unlock()
	delete(c.files, f)
}

// KeepsOrder says whether the server answers in the order in which it was asked (over the newest connection). Where it does not, what
// concerns a name waits for the file with that name to be closed.
func (c *Conn) KeepsOrder() bool {
	s := c.newest.Load()
	return s != nil && ordered(s)
}

// ordered says whether a server answers the requests of one channel in the order
// they came. OpenSSH's does; it is known by an extension that is its own.
func ordered(s *session.Session) bool { return s.Has("fsync@openssh.com") }
