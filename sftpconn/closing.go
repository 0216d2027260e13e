package sftpconn

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Some servers keep whole objects and not files: what is written gets its name at the CLOSE, or is refused there. They also work on
// several requests at a time. So a request about the name of a file waits until the server has closed the file.

const (
	// leavingMay is how long requests wait for a file that may be closed: a descriptor of it was closed, and if that was the last the
	// kernel says so within this time.
	leavingMay = 50 * time.Millisecond
	// leavingWill is how long they wait for one that will be closed as soon as a last question about it is answered.
	leavingWill = 2 * time.Second
)

// closing is a file that is about to be closed, or an unanswered CLOSE of one of its handles.
type closing struct {
	f        *File
	anyOrder bool          // the server may answer what is asked behind it first
	sure     bool          // its CLOSE was sent, or will be unless that takes too long; else the file may stay open
	done     chan struct{} // closed by hasClosed: the CLOSE is answered or lost, or the file is not waited for any more
	timer    *time.Timer   // ends the waiting where no CLOSE is sent; nil for a CLOSE
}

// Leaving says that the file is about to be closed: for sure, or maybe.
func (f *File) Leaving(sure bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || !f.unstoredInAnyOrder() {
		return
	}
	limit := leavingMay
	if sure {
		limit = leavingWill
	}
	cl := &closing{f: f, anyOrder: true, sure: sure, done: make(chan struct{})}
	f.c.closes(cl) // before the timer can end it
	cl.timer = time.AfterFunc(limit, func() { f.c.hasClosed(cl) })
	f.stay()
	f.leaving = cl
}

// stay ends what Leaving has begun. It is called after what takes the place of that was noted, which whoever waits must find. With mu
// held.
func (f *File) stay() {
	if f.leaving != nil && f.leaving.timer.Stop() {
		f.c.hasClosed(f.leaving)
	}
	f.leaving = nil
}

// unstoredInAnyOrder reports whether bytes of the file were sent to a server that may answer later requests first. With mu held.
func (f *File) unstoredInAnyOrder() bool {
	for ch, h := range f.handles {
		if h.unstored && !ordered(ch.s) {
			return true
		}
	}
	return false
}

// closeHandle sends the CLOSE of h, which is open. With mu held.
func (f *File) closeHandle(h *handle) {
	h.closing = true
	call, unstored := h.ch.s.CloseHandle(h.id), h.unstored
	cl := &closing{f: f, anyOrder: !ordered(h.ch.s), sure: true, done: make(chan struct{})}
	if !cl.anyOrder && !unstored {
		return
	}
	f.c.closes(cl)
	f.c.spawnClosing(cl, func() {
		<-call.Done()
		switch err := call.Wait(f.c.ctx); {
		case unstored && refused(err):
			if path := f.r.Path(); path != "" { // else it was removed
				f.mayLack(path, "the server has refused to close the file", err)
			}
		case unstored && cl.anyOrder && isLost(err):
			f.lookForUnclosed()
		}
	})
}

// spawnClosing runs run in a goroutine, and ends cl after it.
func (c *Conn) spawnClosing(cl *closing, run func()) {
	ended := func() {
		run()
		c.hasClosed(cl)
	}
	if !c.spawn(ended) {
		c.hasClosed(cl)
	}
}

// unclosed begins a look at a file that was closed here when no handle was left by which to tell the server. With mu held.
func (f *File) unclosed() {
	if f.exposed.end == 0 || f.c.KeepsOrder() {
		return
	}
	for _, h := range f.handles {
		if !h.openDone() || h.err == nil && !h.ch.over() {
			return
		}
	}
	cl := &closing{f: f, anyOrder: true, sure: true, done: make(chan struct{})}
	f.c.closes(cl)
	f.c.spawnClosing(cl, f.lookForUnclosed)
}

// lookForUnclosed waits for a connection, and looks what has become of a file whose CLOSE the server may not have seen: what was
// written to it may not be there.
func (f *File) lookForUnclosed() {
	path := f.r.Path()
	if path == "" {
		return // it was removed
	}
	ctx, stop := f.c.Bounded(f.c.ctx)
	defer stop()
	exposed := f.exposedEnd()
	var a Attr
	err := f.c.retryNow(ctx, "lstat", path, func(ch *channel, _ bool) error {
		look := ch.s.Lstat(path)
		err := ch.wait(ctx, look)
		a = look.Attr()
		return err
	})
	switch {
	case err == nil:
		f.lookForLoss(exposed, a)
	case f.c.ctx.Err() == nil:
		f.mayLack(path, "the line was lost before the server had closed the file", err)
	}
}

// mayLack reports, to whoever has written the file, that the server may not have what it has acknowledged. why says what went wrong
// with the CLOSE.
func (f *File) mayLack(path, why string, cause error) {
	f.c.o.Logger.Error(why+": it may not have what was written", "path", path, "cause", cause)
	if f.r.Lost != nil {
		f.r.Lost(wrap(fmt.Errorf("%w: %s: %w", ErrLost, why, cause), "close", path))
	}
}

func (c *Conn) closes(cl *closing) {
	c.filesMu.Lock()
	defer c.filesMu.Unlock()
	c.closings[cl] = struct{}{}
}

func (c *Conn) hasClosed(cl *closing) {
	c.filesMu.Lock()
	defer c.filesMu.Unlock()
	delete(c.closings, cl)
	close(cl.done)
}

// Closed waits until the server has answered the CLOSE of every file that was written and closed.
func (c *Conn) Closed(ctx context.Context) error {
	return c.outwait(ctx, func(*closing) bool { return true })
}

// afterClosing waits until no file with one of these names, or below one of them, is being closed by a server that may answer a
// request about the name first.
func (c *Conn) afterClosing(ctx context.Context, names ...string) error {
	about := doubt{names}
	return c.outwait(ctx, func(cl *closing) bool { return cl.anyOrder && about.about(cl.f.r.Path()) })
}

// outwait waits for the closings that are meant and have begun when it is called: while a tree is copied to the server there are new ones
// all the time. A file that may be closed is waited for until it is, or turns out to stay open; not when it may be closed once more.
func (c *Conn) outwait(ctx context.Context, meant func(*closing) bool) error {
	var begun map[*closing]bool // mostly there is none
	var files map[*File]bool
	for _, cl := range c.allClosings() {
		if !meant(cl) {
			continue
		}
		if begun == nil {
			begun, files = map[*closing]bool{}, map[*File]bool{}
		}
		begun[cl], files[cl.f] = true, true
	}
	for len(begun) > 0 {
		var next *closing
		for _, cl := range c.allClosings() {
			if begun[cl] || cl.sure && files[cl.f] {
				next = cl
				break
			}
		}
		if next == nil {
			return nil
		}
		select {
		case <-next.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func (c *Conn) allClosings() []*closing {
	c.filesMu.Lock()
	defer c.filesMu.Unlock()
	return slices.Collect(maps.Keys(c.closings))
}
