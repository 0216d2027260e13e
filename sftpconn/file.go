package sftpconn

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"sshmount/sftpconn/session"
)

const (
	// bulkAfter is how many bytes of a file must have been asked for before it is opened on
	// bulk channels: a small file is read or written through the handle that it was opened with.
	bulkAfter = 512 << 10
	// bulkFrom is how many bytes must also be in flight or waiting then. Behind less, such as the random reads of a database, names do
	// not wait noticeably.
	bulkFrom = 64 << 10

	// stripeFrom is how many bytes of a file must be in flight or waiting for it to be
	// opened on all channels.
	stripeFrom = 1 << 20

	// loadOfLastResort is added to the load of a channel that is to be chosen only where there is no other: far more bytes than are ever
	// in flight. loadOfStuck outweighs it, because a stuck channel is the worst choice of all.
	loadOfLastResort = 1 << 40
	loadOfStuck      = 1 << 41

	// loadOfLink is what a full link adds to the load of its channels where there are several links, in bytes: more than is in flight on
	// any one channel, so that first the less loaded link is chosen and then a channel of it.
	loadOfLink = 8 * window

	// stripePause is how long a channel on which the file could not be opened isn't tried again.
	stripePause = 5 * time.Second
)

// File is an open remote file that outlives its connection. It has a handle for each channel that it uses. Handles die with their
// channel; where none is left, the file is opened again, by its present path, when it is next used. Its methods may be called from
// several goroutines. Reads and writes are spread over the channels.
type File struct {
	c    *Conn
	r    OpenRequest
	sent time.Time // when its opening went out

	// Not changed once Open has returned.
	head   []byte // see Head
	looked *Attr  // its attributes through the handle, in the flight of its opening; nil where they were not asked for
	mtime  uint32 // of what had its name when it was opened; seconds since 1970
	size   int64  // of the same; bytes

	renewing chan struct{}        // capacity 1: holds a token while the file is being opened once more, see ReadGrown
	renewed  atomic.Pointer[File] // the file as opened once more, nil until then; set with mu held, and closed with this one

	mu      sync.Mutex // guards what follows, down to leaving
	closed  bool
	stale   error                  // why the file can never be found again; nil while it can
	handles map[*channel]*handle   // those that are open, or are being opened
	retries map[*channel]time.Time // when a channel on which the file could not be opened may be tried again
	moved   int64                  // bytes asked for so far
	room    [2]room                // of reading and writing

	end     int64 // where the furthest write ends that was asked for
	acked   int64 // where the furthest write ends that was acknowledged
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

// Head is the beginning of the file as it was when it was opened; nil where it was not read in the flight of that (OpenRequest.Size).
func (f *File) Head() []byte { return f.head }

// writes says whether the file was opened for writing.
func (f *File) writes() bool { return f.r.Pflags&session.OpenWrite != 0 }

// begin runs open in the background to make a handle on ch, which takes the place of one
// that may be there. With mu held.
func (f *File) begin(ch *channel, full bool, open func(h *handle) (string, error)) *handle {
	if old := f.handles[ch]; old != nil {
		old.retired = true
		f.giveBack(old)
	}
	h := &handle{ch: ch, full: full, done: make(chan struct{})}
	f.handles[ch] = h
	// The opening serves all who wait for the file, so no caller's ctx ends it.
	if !f.c.spawn(func() { f.runOpening(h, open) }) {
		h.err = ErrClosed
		close(h.done)
	}
	return h
}

// over returns why the file can't be used any more; nil where it can. With mu held.
func (f *File) over() error {
	if f.closed {
		return fmt.Errorf("file is closed: %w", ErrClosed)
	}
	return f.stale
}

// purge forgets the handles whose session is over, and those that could not be opened. With mu held.
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

// best returns the handle on the least loaded channel, of those that are open and good for dir, and on the link on where that isn't
// nil. For data, and for lengthy requests, the channel of names is chosen only where there is no other. With mu held.
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

// Close closes the handles. It does not wait for the server.
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
		f.giveBack(h) // drop does it for a handle that is in use, and the opener for one that is being opened
	}
	f.unclosed()
	f.stay()
}

// ask sends a request that moves no data on a handle, and sends it again after a lost session. Where send returns nil, so does ask.
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
