package filedata

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// errTooFar is the error of a write to an offset that no file has.
var errTooFar = errors.New("offset out of range")

// Write takes a copy of p. It waits only for the budget; with SyncWrites also for the answer. Where bytes that this handle wrote
// before could not be delivered it returns their error, once for all of them: a program that writes on to a full disk learns so now, and
// not only when it closes. If it goes on all the same its bytes are taken, as there may be room again.
func (h *Handle) Write(ctx context.Context, p []byte, off int64) error {
	_, err := h.write(ctx, p, off, false, true)
	return err
}

// WriteBack is Write for pages of a mapping, whose error no program waits for.
func (h *Handle) WriteBack(ctx context.Context, p []byte, off int64) error {
	_, err := h.write(ctx, p, off, false, false)
	return err
}

// Append writes p at the end of the file, wherever that is, and says where it was.
func (h *Handle) Append(ctx context.Context, p []byte) (off int64, err error) {
	return h.write(ctx, p, 0, true, true)
}

// write is Write, or with atEnd Append; heard says that a program waits for its error.
func (h *Handle) write(ctx context.Context, p []byte, off int64, atEnd, heard bool) (int64, error) {
	f := h.file
	f.mu.Lock()
	defer f.mu.Unlock()
	at, err := h.mayWrite(ctx, p, off, atEnd)
	if err != nil || len(p) == 0 {
		return at, err
	}
	inPlace := false
	var of []*epoch
	if !h.pool.o.SyncWrites {
		f.makeWay(p, at)
		inPlace = f.inPlace(h, p, at)
	}
	if !inPlace {
		f.mu.Unlock()
		err = h.pool.reserve(ctx, int64(len(p)))
		f.mu.Lock()
		if err != nil {
			return 0, err
		}
		if at, err = h.mayWrite(ctx, p, off, atEnd); err == nil && !f.dirty() && !h.pool.accept(f) {
			err = ErrClosed
		}
		if err == nil {
			f.makeWay(p, at)
			of = f.put(h, p, at)
		}
		h.pool.unreserve(int64(len(p)))
		if err != nil {
			return 0, err
		}
	}
	f.writer = h
	if h.pool.waiting.Load() > 0 {
		f.makeDueIn(at, at+int64(len(p))) // the rest was made due by those who wait for the budget
		f.pump()
	} else {
		f.endEpochs() // all bytes of an epoch may have been written over
	}
	if len(f.pending.s) > f.due {
		f.startIdle()
	}
	if !h.pool.o.SyncWrites {
		return at, nil
	}
	return at, f.answered(ctx, of, heard)
}

// answered waits for the answers to all bytes of some epochs, into which was just written, and returns their error. f.mu is held, but not
// while it waits.
func (f *File) answered(ctx context.Context, of []*epoch, heard bool) error {
	for _, e := range of {
		if heard {
			e.heard++
		} else {
			e.unheard = true
		}
	}
	err := f.flushed(ctx)
	for _, e := range slices.Backward(of) {
		if heard {
			e.heard--
		}
		if e.err != nil {
			err = e.err
		}
	}
	return err
}

// told says whether an error of e is told by the write of the program that wrote it: that program still has the bytes.
func (e *extent) told() bool { return e.epoch.heard > 0 && !e.epoch.unheard }

// mayWrite waits until the file is not barred, and what p would replace may be replaced, and returns the offset of the write. f.mu is held,
// but not while it waits.
func (h *Handle) mayWrite(ctx context.Context, p []byte, off int64, atEnd bool) (int64, error) {
	f := h.file
	for f.barred || !atEnd && f.keepsOut(off, off+int64(len(p))) {
		if err := f.waitEvent(ctx); err != nil {
			return 0, err
		}
	}
	if h.closed || h.pool.ctx.Err() != nil {
		return 0, ErrClosed
	}
	if h.stale != nil {
		return 0, h.stale
	}
	if err := h.untoldError; err != nil {
		h.untoldError = nil
		return 0, err
	}
	if atEnd {
		off = f.size
	}
	if off < 0 || off > maxOffset-int64(len(p)) {
		return 0, fmt.Errorf("write %d bytes at %d: %w", len(p), off, errTooFar)
	}
	return off, nil
}

// makeWay forgets what the server said of the bytes that p is about to replace.
func (f *File) makeWay(p []byte, off int64) {
	f.lastWrite = time.Now()
	f.cutClean(off, off+int64(len(p)))
}
