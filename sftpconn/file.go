package sftpconn

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"sshmount/sftpconn/session"
)

const (
	// bulkAfter is what a file must have moved, in bytes, before it leaves the channel
	// of names: a small file is read or written through the handle it was opened with.
	bulkAfter = 512 << 10
	// bulkFrom is what it must have in flight or waiting then, in bytes: nobody waits noticeably behind less, as behind the
	// random reads of a database.
	bulkFrom = 64 << 10

	// stripeFrom is what a file must have in flight or waiting, in bytes, to be opened
	// on all channels.
	stripeFrom = 1 << 20

	// loadOfLastResort is added to the load of a channel that should be chosen only where there is no other: far more
	// bytes than are ever in flight. Stuck is worse than any other kind, so loadOfStuck outweighs that.
	loadOfLastResort = 1 << 40
	loadOfStuck      = 1 << 41

	// loadOfLink is what a full link weighs where there are several, in bytes: more than what is in flight on
	// one channel, so that the less loaded link is chosen first and then a channel of it.
	loadOfLink = 8 * window

	// stripePause is how long a channel on which the file could not be opened isn't tried again.
	stripePause = 5 * time.Second
)

// File is an open remote file that outlives its connection. It holds a handle for each channel that it has used; handles die with
// their channel, and where none is left the file is opened again by its present path when it is next used. Methods may be called
// from several goroutines; reads and writes are spread over the channels.
type File struct {
	c    *Conn
	r    OpenRequest
	sent time.Time // when its opening went out

	// Not changed once Open has returned.
	head   []byte // see Head
	looked *Attr  // its attributes through the handle, in the flight of its opening; nil where they were not asked for
	mtime  uint32 // what had its name at the opening was last changed then
	size   int64  // and was so long

	renewing chan struct{}        // capacity 1: held by who opens it once more, see ReadGrown
	renewed  atomic.Pointer[File] // what came of it last, nil before; set with mu held, and closed with the file

	mu      sync.Mutex // guards what follows, down to leaving
	closed  bool
	stale   error                  // the file can't be found again: for ever
	handles map[*channel]*handle   // those that are open, or are being opened
	retries map[*channel]time.Time // when a channel on which the file could not be opened may be tried again
	moved   int64                  // bytes asked for so far
	room    [2]room                // of reading and writing

	end     int64 // where the furthest write ends
	acked   int64 // where the furthest ends that was acknowledged
	exposed exposed
	out     outbox
	deadly  deadly
	leaving *closing // see Leaving; nil where it is not about to be closed

	pending atomic.Int64 // bytes asked for and not answered

	owing owing // bits that a reopening has taken; guarded by Conn.bitsMu
}

func newFile(c *Conn, r OpenRequest, ch *channel, open *session.Call) *File {
	h := &handle{ch: ch, full: true, done: make(chan struct{}), id: open.Handle()}
	close(h.done)
	f := &File{c: c, r: r, sent: time.Now().Add(-open.RTT()), handles: map[*channel]*handle{ch: h}, retries: map[*channel]time.Time{}}
	f.renewing = make(chan struct{}, 1)
	f.owing.f = f
	c.keep(f)
	return f
}

// Head is the beginning of the file as it was when it was opened; nil where it did not come with that (OpenRequest.Size).
func (f *File) Head() []byte { return f.head }

// writes says whether the file was opened for writing.
func (f *File) writes() bool { return f.r.Pflags&session.OpenWrite != 0 }

// begin has open run in the background to make a handle on ch, in the place of one
// there may be. With mu held.
func (f *File) begin(ch *channel, full bool, open func(h *handle) (string, error)) *handle {
	if old := f.handles[ch]; old != nil {
		old.retired = true
		f.giveBack(old)
	}
	h := &handle{ch: ch, full: full, done: make(chan struct{})}
	f.handles[ch] = h
	// It belongs to all who wait for the file: the end of one's ctx must not end it.
	if !f.c.spawn(func() { f.runOpening(h, open) }) {
		h.err = ErrClosed
		close(h.done)
	}
	return h
}

// purpose is what a request on an open file is for, which says what channel it is to go to.
type purpose int

const (
	forData    purpose = iota // a READ or WRITE: away from the channel of names where it can be
	forSmall                  // what is answered at once: to the channel of names where that has a handle
	forLengthy                // what moves nothing and may take the server long: as forData
)

// use gives an open handle that is good for direction dir and, as far as can be, for why, with a reference that drop gives back.
func (f *File) use(ctx context.Context, dir int, why purpose) (*handle, error) {
	var lost losses
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		f.mu.Lock()
		if err := f.over(); err != nil {
			f.mu.Unlock()
			return nil, err
		}
		f.purge()
		if h := f.best(dir, why, nil); h != nil {
			h.refs++
			if why == forData {
				f.widen(dir)
			}
			f.mu.Unlock()
			return h, nil
		}
		changed, next := f.c.whenChanged(), f.openingHandle(dir)
		f.mu.Unlock()
		if next == nil {
			var err error
			if next, err = f.reopen(ctx); err != nil {
				return nil, err
			}
		}
		select {
		case <-next.done:
		case <-changed: // its channel may be stuck
			if !next.ch.over() {
				continue
			}
			// It ends with its session, and that loss counts, whichever of the two is seen first.
			select {
			case <-next.done:
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		f.mu.Lock()
		err := next.err
		f.mu.Unlock()
		if err != nil && !isLost(err) && !errors.Is(err, errStripe) {
			return nil, err
		}
		if !errors.Is(err, errStripe) && lost.tooMany(err, lossesFile) {
			return nil, f.c.giveUpOn("reopen", f.r.Path(), err)
		}
	}
}

// openingHandle gives a handle that is being opened and fits; nil where there is none, or its opening stands behind a request
// at which the server is stuck: then names have another channel. With mu held.
func (f *File) openingHandle(dir int) *handle {
	for ch, h := range f.handles {
		if h.fits(dir) && !ch.stuck.Load() {
			return h
		}
	}
	return nil
}

// over is the error of a file that can't be used any more. With mu held.
func (f *File) over() error {
	if f.closed {
		return fmt.Errorf("file is closed: %w", ErrClosed)
	}
	return f.stale
}

// purge forgets the handles whose session is over, and those that were not to be. With mu held.
func (f *File) purge() {
	for ch, h := range f.handles {
		if h.openDone() && (h.err != nil || ch.over()) {
			delete(f.handles, ch)
		}
	}
	for ch := range f.retries {
		if ch.over() {
			delete(f.retries, ch)
		}
	}
}

// best chooses among the open handles good for dir, those of on alone where it isn't nil: for data, and what is lengthy, the least
// loaded channel, and that of names only where it is the only one. With mu held.
func (f *File) best(dir int, why purpose, on *link) *handle {
	var best *handle
	var bestLoad float64
	for ch, h := range f.handles {
		if !h.takes(dir, why) || on != nil && ch.link != on {
			continue
		}
		load := float64(ch.load[dir].Load())
		if why == forData && len(f.c.allLinks()) > 1 && on == nil {
			load += ch.pacer(dir).pressure() * loadOfLink
		}
		switch names := ch.names && !ch.former.Load(); {
		case names && why == forData && ch.pacer(dir).lent.Load():
			load += float64(max(ch.pacer(dir).shareNow()-lentBytes, 0))
		case names != (why == forSmall): // data or what is lengthy on that of names, or a small request on another
			load += loadOfLastResort
		}
		if ch.stuck.Load() {
			load += loadOfStuck
		}
		if best == nil || load < bestLoad {
			best, bestLoad = h, load
		}
	}
	return best
}

// Close gives the handles back; it does not wait for the server.
func (f *File) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	f.closed = true
	if r := f.renewed.Load(); r != nil {
		r.Close()
	}
	f.c.forget(f)
	f.c.disown(&f.owing)
	for _, h := range f.handles {
		f.giveBack(h) // one that is used later by drop, one that is being opened by its opener
	}
	f.unclosed()
	f.stay()
}

// ask runs a request that moves no data on a handle, again after a lost session; nil where send gives none.
func (f *File) ask(ctx context.Context, op string, why purpose, send func(h *handle) *session.Call) (*session.Call, error) {
	again := false
	var lost losses
	for {
		h, err := f.use(ctx, f.main(), why)
		if err != nil {
			return nil, f.wrap(err, op)
		}
		call := send(h)
		if call == nil {
			f.drop(h)
			return nil, nil
		}
		err = h.ch.wait(ctx, call)
		f.drop(h)
		if !isLost(err) {
			return call, f.wrap(mayBeDone(err, again), op)
		}
		again = again || wasSent(err)
		if lost.tooMany(err, lossesFile) {
			return nil, f.wrap(f.c.giveUpOn(op, f.r.Path(), err), op)
		}
	}
}

func (f *File) wrap(err error, op string) error { return wrap(err, op, f.r.Path()) }

// Setstat sets attributes through a handle.
func (f *File) Setstat(ctx context.Context, a Attr) error {
	if a.Flags&session.HasSize != 0 {
		f.extend(int64(a.Size))
		f.Shorten(a.Size)
		if err := f.c.afterClosing(ctx, f.r.Path()); err != nil {
			return f.wrap(err, "fsetstat")
		}
	}
	_, err := f.ask(ctx, "fsetstat", forSmall, func(h *handle) *session.Call {
		return f.c.setBits(f, f.r.Path(), a, func() *session.Call { return h.ch.s.Fsetstat(h.id, a) })
	})
	return err
}

// Stat gives the attributes of the file, whatever has its name by now.
func (f *File) Stat(ctx context.Context) (Attr, error) {
	call, err := f.ask(ctx, "fstat", forSmall, func(h *handle) *session.Call { return h.ch.s.Fstat(h.id) })
	if err != nil {
		return Attr{}, err
	}
	return call.Attr(), nil
}
