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

// Conn is a connection to one server that is made again whenever it is lost. Its
// methods may be called from several goroutines. Each waits where there is no
// connection: until ctx ends (then it returns the cause), until ReconnectTimeout
// has passed (ErrUnreachable), or, in a context made by Patient, for as long as it
// takes. Errors wrap *session.StatusError where the server has refused.
type Conn struct {
	o      Options
	ctx    context.Context // ends with Close; every goroutine of the connection heeds it
	cancel context.CancelFunc
	kick   chan struct{} // capacity 1, never closed: the manager is to connect, or to probe the line, at once
	clock  clock

	spawning sync.Mutex     // guards ended and the growth of wg; a leaf
	ended    bool           // Close waits: no further goroutine may be started
	wg       sync.WaitGroup // every goroutine

	mu      sync.Mutex    // guards what follows, down to doubts
	changed chan struct{} // closed and replaced by broadcast, when something changes for which callers wait
	closed  bool
	since   time.Time // when the connection was made, or lost where there is none

	// The connection, where there is one.
	names      *channel       // nil while there is none
	links      []*link        // the first is that of names; replaced as a whole, never changed
	info       transport.Info // of the last connection
	past       [2]uint64      // bytes moved by links that are gone, by direction
	reconnects int

	// Further links (addLink).
	extra        int       // links besides the first that are up or being dialled
	extraAfter   time.Time // no such link is dialled before
	extraRefused int       // how many of them were refused for good since one was last made
	noFurther    bool      // the server refuses logins besides the first: none is dialled any more

	// Attempts to connect.
	lastErr       error     // why the last connection ended, or the last attempt failed
	failures      int       // attempts that have failed, ever, and looks for a root that was not there
	nextTry       time.Time // when the pause between two attempts ends; zero while there is a connection
	noNudgeBefore time.Time // after a refusal no nudge starts an attempt before this time, which is wall-clock so that sleep counts; zero: no refusal
	nudged        bool      // there was a nudge before noNudgeBefore: it takes effect at that time

	// Those who wait for a connection.
	trial   bool                                  // a loss now is final (Options.Trial)
	final   error                                 // why there will be no connection any more; nil where there may be one
	gaveUp  bool                                  // there has been no connection for ReconnectTimeout: requests fail until there is one
	bounded map[*context.CancelCauseFunc]struct{} // of the contexts of Bounded that have not ended
	doubts  map[*doubt]struct{}                   // changes of names whose outcome is not known

	bitsMu sync.Mutex // guards owings and the fields of each; taken after File.mu, before Session.mu
	owings map[*owing]struct{}

	filesMu  sync.Mutex // guards what follows; a leaf
	files    map[*File]struct{}
	closings map[*closing]struct{}

	newest     atomic.Pointer[session.Session] // the last session of names, maybe over
	lastLimits atomic.Pointer[session.Limits]  // the server's last answer about its limits; nil before the first

	root atomic.Pointer[string] // KeepIn; nil where nothing is known of it

	waiting   atomic.Int64 // callers that wait for a connection
	elsewhere atomic.Int32 // events since askElsewhere has begun to ask; 0 while it does not ask
	smalls    atomic.Int64 // how many small files were read over the channel of names
	journal   journal

	refusesBits atomic.Bool // warnOfBits has warned

	clockAhead atomic.Int64 // seconds that the server's clock is ahead of ours, as far as known
}

// New logs in for the first time. Its error is meant for the user to read.
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

// spawn runs f in a goroutine that Close waits for. Once Close waits it does not run f,
// and returns false.
func (c *Conn) spawn(f func()) bool {
	c.spawning.Lock()
	defer c.spawning.Unlock()
	if c.ended {
		return false
	}
	c.wg.Go(f)
	return true
}

// wait waits until every goroutine has ended. From then on spawn starts none.
func (c *Conn) wait() {
	c.spawning.Lock()
	c.ended = true
	c.spawning.Unlock()
	c.wg.Wait()
}

// broadcast wakes all who wait on changed. With mu held.
func (c *Conn) broadcast() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// whenChanged returns a channel that is closed at the next broadcast.
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

// unreachable returns why it makes no sense to wait for a connection; nil where it does. With mu held.
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

// channel returns the channel of names. Where there is no connection it waits for one, as ctx allows.
func (c *Conn) channel(ctx context.Context) (*channel, error) {
	asker := askerOf(ctx)
	for first := true; ; first = false {
		if err := cmp.Or(ended(ctx), ended(asker)); err != nil {
			return nil, err
		}
		c.mu.Lock()
		ch, changed := c.names, c.changed
		err := c.unreachable()
		final := c.final != nil || c.closed
		c.mu.Unlock()
		if c.isUp(ch) {
			return ch, nil
		}
		if err != nil && (final || !isPatient(ctx)) {
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

// pausesLong reports whether the next attempt is so far away that a program which waits should have it made earlier. After a
// refusal it never is: a server that counts failed logins must not be provoked.
func (c *Conn) pausesLong() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.noNudgeBefore.IsZero() && time.Until(c.nextTry) > 2*backoffWaiting
}

func (c *Conn) isUp(ch *channel) bool { return ch != nil && !ch.over() }

// Has reports whether the server has announced an extension, over the newest connection.
func (c *Conn) Has(extension string) bool {
	s := c.newest.Load()
	return s != nil && s.Has(extension)
}

// openFiles returns all files that are not closed.
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

// KeepsOrder reports whether the server, over the newest connection, answers in the order in which it was asked. Where it does not,
// requests about a name wait until the file with that name is closed.
func (c *Conn) KeepsOrder() bool {
	s := c.newest.Load()
	return s != nil && ordered(s)
}

// ordered says whether a server answers the requests of one channel in the order
// they came. OpenSSH's does; it is known by an extension that is its own.
func ordered(s *session.Session) bool { return s.Has("fsync@openssh.com") }
