package filedata

import (
	"context"
	"errors"
	"time"

	"sshmount/sftpconn"
)

const (
	retryFirst = 250 * time.Millisecond // the pause before a request is sent again that has failed because of the line; it doubles
	retryLast  = 5 * time.Second        // up to this
)

// deliver writes e when its turn has come, and sets times after it, unless times is nil. It returns when the server has answered, however
// long that takes: err is the error of the bytes, and timesErr, where they have arrived, that of the times.
func (f *File) deliver(ctx context.Context, e *extent, turn *sftpconn.Turn, times *sftpconn.Attr) (err, timesErr error) {
	defer turn.Done()
	if err := f.lostBefore(e); err != nil {
		return err, nil
	}
	b, data := e.handle.backend, e.data()
	if times == nil {
		return f.insist(ctx, e.handle, func(ctx context.Context) error {
			defer turn.Done() // one that has to be repeated holds up nobody
			return b.WriteAt(sftpconn.InTurn(ctx, turn), data, e.off)
		}), nil
	}
	both := f.insist(ctx, e.handle, func(ctx context.Context) error {
		defer turn.Done()
		return b.WriteSetstat(sftpconn.InTurn(ctx, turn), data, e.off, *times)
	})
	if both == nil || errors.Is(both, ErrClosed) || errors.Is(both, sftpconn.ErrStale) {
		return both, nil
	}
	if set, ok := errors.AsType[*sftpconn.SetRefusedError](both); ok {
		return nil, set.Unwrap() // the bytes have arrived, and must not be sent again: some servers take them in order only
	}
	// Which of the two was refused?
	err = f.insist(ctx, e.handle, func(ctx context.Context) error { return b.WriteAt(ctx, data, e.off) })
	if err != nil {
		return err, nil
	}
	// This write has changed the mtime, so the times have to be set once more, alone.
	return nil, f.insist(ctx, e.handle, func(ctx context.Context) error { return b.Setstat(ctx, *times) })
}

// insist repeats a request through h for as long as only the line is to blame. ctx is derived from the pool's.
func (f *File) insist(ctx context.Context, h *Handle, do func(context.Context) error) error {
	wait := f.pool.retry
	for {
		f.mu.Lock()
		stale := h.stale
		f.mu.Unlock()
		if stale != nil {
			return stale
		}
		if f.pool.ctx.Err() != nil {
			return ErrClosed
		}
		err := do(sftpconn.Patient(ctx))
		if err == nil {
			return nil
		}
		if f.pool.ctx.Err() != nil {
			return ErrClosed
		}
		if ctx.Err() != nil {
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.over.why
		}
		if !errors.Is(err, sftpconn.ErrUnreachable) && !errors.Is(err, sftpconn.ErrUncertain) {
			return err
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
		}
		wait = min(2*wait, retryLast)
	}
}
