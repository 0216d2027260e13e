package sftpconn

import (
	"context"
	"errors"
)

// purpose is what a request on an open file is for, which says what channel it is to go to.
type purpose int

const (
	forData    purpose = iota // a READ or WRITE: not on the channel of names if there is another
	forSmall                  // answered at once: on the channel of names if the file is open there
	forLengthy                // moves no data and may take the server long (fsync): as forData
)

// use returns an open handle that is good for direction dir and, if possible, on a channel that suits why. It comes with a reference,
// which drop gives back. Where the file is open nowhere, it is opened again first.
func (f *File) use(ctx context.Context, dir int, why purpose) (*handle, error) {
	var lost losses
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		h, next, changed, err := f.useOpen(dir, why)
		if h != nil || err != nil {
			return h, err
		}
		if next == nil {
			if next, err = f.reopen(ctx); err != nil {
				return nil, err
			}
		}
		done, err := awaitOpening(ctx, next, changed)
		switch {
		case err != nil:
			return nil, err
		case !done:
			continue
		}
		f.mu.Lock()
		err = next.err
		f.mu.Unlock()
		switch {
		case err == nil, errors.Is(err, errStripe):
			// It is open now, or can be opened elsewhere.
		case !isLost(err):
			return nil, err
		case lost.tooMany(err, lossesFile):
			return nil, f.c.giveUpOn("reopen", f.r.Path(), err)
		}
	}
}

// useOpen is use where the file is open. Else it returns a handle that is being opened, if there is one, and a channel that is closed when
// another handle may do. It takes mu.
func (f *File) useOpen(dir int, why purpose) (h, next *handle, changed <-chan struct{}, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.over(); err != nil {
		return nil, nil, nil, err
	}
	f.purge()
	if h := f.best(dir, why, nil); h != nil {
		h.refs++
		if why == forData {
			f.widen(dir)
		}
		return h, nil, nil, nil
	}
	return nil, f.openingHandle(dir), f.c.whenChanged(), nil
}

// awaitOpening waits until the opening of next has ended (done), or something has changed at the connection, as its channel may be stuck then.
func awaitOpening(ctx context.Context, next *handle, changed <-chan struct{}) (done bool, err error) {
	select {
	case <-next.done:
		return true, nil
	case <-changed:
		if !next.ch.over() {
			return false, nil
		}
		// It ends with its session. The loss is counted, so it is waited for.
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
	select {
	case <-next.done:
		return true, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// openingHandle returns a handle that is being opened and fits. It returns nil where there is none, or only one on a channel that is
// stuck: then names have another channel, on which the file can be opened. With mu held.
func (f *File) openingHandle(dir int) *handle {
	for ch, h := range f.handles {
		if h.fits(dir) && !ch.stuck.Load() {
			return h
		}
	}
	return nil
}
