package sftpconn

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Some servers keep no files but whole objects: what is written gets its name at the CLOSE, or is refused there. Those also come to several
// requests at a time. So what concerns the name of a file waits until it is closed over there.

const (
	// leavingMay is how long a file is waited for that will most likely be closed: so long does the kernel need to tell that the last
	// descriptor is gone. It may not be the last.
	leavingMay = 50 * time.Millisecond
	// leavingWill is how long one is waited for that is to be closed when a last question about it is answered.
	leavingWill = 2 * time.Second
)

// closing is a file that is about to be closed, or the CLOSE of one of its handles on its way.
type closing struct {
	f        *File
	anyOrder bool          // the server may come to what is asked behind it first
	sure     bool          // it will be closed, unless it takes too long, or its CLOSE was sent
	done     chan struct{} // closed when it is answered, or lost
	timer    *time.Timer   // ends the waiting for what is not sent; nil for a CLOSE
}

// Leaving tells that the file is about to be closed: for sure, or maybe.
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
	cl.timer = time.AfterFunc(limit, func() { f.c.hasClosed(cl) })
	f.c.closes(cl)
	f.stay()
	f.leaving = cl
}

// stay ends what Leaving has begun. Who waits for that sees what takes its place, so this comes after. With mu held.
func (f *File) stay() {
	if f.leaving != nil && f.leaving.timer.Stop() {
		f.c.hasClosed(f.leaving)
	}
	f.leaving = nil
}

// unstoredInAnyOrder says whether a server that may come to later requests first has been sent bytes of the file. With mu held.
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

// spawnClosing has run end a closing.
func (c *Conn) spawnClosing(cl *closing, run func()) {
	ended := func() {
		run()
		c.hasClosed(cl)
	}
	if !c.spawn(ended) {
		c.hasClosed(cl)
	}
}

// unclosed is for a file that is closed here and has no handle any more by which the server could be told. With mu held.
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

// lookForUnclosed looks, when there is a line again, what has become of a file that the server was not told to close, or may not have been:
// what was written to it need not be there.
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

// mayLack tells who has written the file that the server need not have what it had acknowledged; why says what has become of its closing.
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

// Closed waits until the server has answered to the CLOSE of every file that was written and closed.
func (c *Conn) Closed(ctx context.Context) error {
	return c.outwait(ctx, func(*closing) bool { return true })
}

// afterClosing waits until no file with one of these names, or below one, is being closed by a server that may come to them first.
func (c *Conn) afterClosing(ctx context.Context, names ...string) error {
	about := doubt{names}
	return c.outwait(ctx, func(cl *closing) bool { return cl.anyOrder && about.about(cl.f.r.Path()) })
}

// outwait waits for those that are meant, as far as they have begun when it is called: there may be new ones all the time, as where a tree is
// copied to the server. A file that may leave is waited for until it is closed or stays, and not again when it next may leave.
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
