package filedata

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// errTooFar: an offset that no file has.
var errTooFar = errors.New("offset out of range")

// Write takes a copy of p. It waits only for the budget (and for the answer, with SyncWrites). When bytes that this handle
// wrote before could not be delivered it returns that error, once for all of them: who writes on to a full disk learns it now, and
// not when it closes, and who goes on all the same is heard, as there may be room again.
func (h *Handle) Write(ctx context.Context, p []byte, off int64) error {
	_, err := h.write(ctx, p, off, false)
	return err
}

// Append writes p at the end of the file, wherever that is, and says where it was.
func (h *Handle) Append(ctx context.Context, p []byte) (off int64, err error) {
	return h.write(ctx, p, 0, true)
}

func (h *Handle) write(ctx context.Context, p []byte, off int64, atEnd bool) (int64, error) {
	f := h.file
	f.mu.Lock()
	defer f.mu.Unlock()
	at, err := h.mayWrite(ctx, p, off, atEnd)
	if err != nil || len(p) == 0 {
		return at, err
	}
	inPlace := false
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
			f.put(h, p, at)
		}
		h.pool.unreserve(int64(len(p)))
		if err != nil {
			return 0, err
		}
	}
	f.writer = h
	if h.pool.waiting.Load() > 0 {
		f.makeDueIn(at, at+int64(len(p))) // the rest was made due by who waits
		f.pump()
	} else {
		f.endEpochs() // an epoch may have been written over as a whole
	}
	if len(f.pending.s) > f.due {
		f.startIdle()
	}
	if !h.pool.o.SyncWrites {
		return at, nil
	}
	if err := f.flushed(ctx); err != nil {
		return at, err
	}
	err = h.err
	h.err, h.untoldError = nil, nil
	return at, err
}

// mayWrite waits until the file is not barred, and says where the write goes.
func (h *Handle) mayWrite(ctx context.Context, p []byte, off int64, atEnd bool) (int64, error) {
	f := h.file
	for f.barred {
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

// makeWay takes what the server said of the bytes that p is to replace out of the way.
func (f *File) makeWay(p []byte, off int64) {
	f.lastWrite = time.Now()
	f.cutClean(off, off+int64(len(p)))
}
