package filedata

import (
	"context"
	"errors"

	"sshmount/sftpconn"
)

// flushed waits until all that was written before the call is acknowledged or lost, or ctx ends, whose cause it returns. f.mu is held, but
// not while it waits.
func (f *File) flushed(ctx context.Context) error {
	if !f.dirty() {
		return nil
	}
	last := f.epochs[len(f.epochs)-1]
	last.sealed = true
	last.waited++
	defer func() {
		last.waited--
		f.wakeWaiters()
	}()
	f.makeDue()
	f.pump()
	for len(f.epochs) > 0 && f.epochs[0].id <= last.id {
		if err := f.waitEvent(ctx); err != nil {
			return err
		}
	}
	return nil
}

// waitEvent lets go of f.mu until something has happened, or ctx ends, whose cause it returns.
func (f *File) waitEvent(ctx context.Context) error {
	wake := f.nextEvent()
	f.mu.Unlock()
	defer f.mu.Lock()
	select {
	case <-wake:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Flushed waits until all that was written to the file before the call is acknowledged or lost.
func (f *File) Flushed(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.flushed(ctx)
}

// Delivered is Flushed for a handle that has closed. It also waits for times that were set since and are sent through it.
func (h *Handle) Delivered(ctx context.Context) error {
	f := h.file
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		if err := f.flushed(ctx); err != nil || f.writer != h || f.barrier() == nil {
			return err
		}
	}
}

// Drain waits until nothing of the file is unacknowledged. Beside a program that writes all the time that may never be.
func (f *File) Drain(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.drain(ctx)
}

// drain is Drain with f.mu held, but not while it waits.
func (f *File) drain(ctx context.Context) error {
	for f.dirty() {
		if err := f.flushed(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Flush waits until the server has acknowledged all bytes of the file that were written before, and returns the first write
// error of the file since this handle was opened that was not reported for good. With forGood this report is for good
// (fsync). Without, the next Flush reports it again (close: a child that closes an inherited descriptor must not use it up).
// When ctx ends first its cause is returned; the bytes are kept and go on being delivered.
func (h *Handle) Flush(ctx context.Context, forGood bool) error {
	f := h.file
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.flushed(ctx); err != nil {
		return err
	}
	err := h.err
	if forGood {
		h.err, h.untoldError = nil, nil
	}
	return err
}

// Fail reports an error of bytes that were written through this handle and acknowledged, and that the server has lost since.
func (h *Handle) Fail(err error) {
	h.file.mu.Lock()
	defer h.file.mu.Unlock()
	h.file.failed(h, err)
}

// failed reports a write error to every handle that is open now. by is the handle through which the bytes were written.
func (f *File) failed(by *Handle, err error) {
	f.report(err, nil)
	if by.untoldError == nil {
		by.untoldError = err
	}
	f.staleFor(by, err)
}

// refused notes the error of an extent. told says that the program which wrote it is waiting, and is told by its write.
func (f *File) refused(e *extent, err error) (told bool) {
	f.mu.Lock()
	told = e.told()
	if e.epoch.err == nil {
		e.epoch.err = err
	}
	f.mu.Unlock()
	if told {
		f.pool.o.Refused(f.tag)
	}
	return told
}

// report has an error told at the close or fsync of every handle that is open now, except but, which has told of it; but may be nil.
func (f *File) report(err error, but *Handle) {
	for h := range f.handles {
		if h.err == nil && h != but {
			h.err = err
		}
	}
}

// staleFor ends the writing through a handle where err says that what it has open is not its file any more.
func (f *File) staleFor(by *Handle, err error) {
	if errors.Is(err, sftpconn.ErrStale) {
		by.stale = err
		f.makeDue() // the rest of its bytes is lost too
	}
}
