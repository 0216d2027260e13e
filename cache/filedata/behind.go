package filedata

import (
	"context"

	"sshmount/sftpconn"
)

// Sync is Flush with forGood, and fsync on the server.
func (h *Handle) Sync(ctx context.Context) error {
	var stored func() bool
	var refused error
	end := h.behind(func(until <-chan struct{}, asked int64) {
		stored, refused = h.backend.FsyncBehind(ctx, until, asked)
	})
	err := h.Flush(ctx, true)
	end()
	switch {
	case err != nil:
		return err
	case refused != nil:
		return refused
	case stored != nil && stored():
		return nil
	}
	return h.backend.Fsync(ctx)
}

// Asking runs wait, which waits for the bytes of this handle (Flush, Sync or Delivered), and has the server asked for the attributes
// of the file in the flight of the last of them. known says that a is the answer: what the file was when those were written. Whoever
// uses it has to know that nothing else has changed the file since. err is that of wait.
func (h *Handle) Asking(ctx context.Context, wait func(context.Context) error) (a sftpconn.Attr, known bool, err error) {
	var told func() (sftpconn.Attr, bool)
	end := h.behind(func(until <-chan struct{}, asked int64) {
		told = h.backend.StatBehind(ctx, until, asked)
	})
	err = wait(ctx)
	end()
	if err != nil || told == nil {
		return a, false, err
	}
	a, known = told()
	return a, known, nil
}

// behind runs ask, in a goroutine, as soon as all that is unacknowledged is on its way, unless end is called first. asked is how many
// bytes this handle has ever given to its backend by then. end closes until, which has ask return, and waits for that.
func (h *Handle) behind(ask func(until <-chan struct{}, asked int64)) (end func()) {
	until, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		if asked, ok := h.allUnderWay(until); ok {
			ask(until, asked)
		}
	}()
	return func() {
		close(until)
		<-over
	}
}

// allUnderWay sends what is pending, waits until all of it is on its way, and gives the bytes that this handle has ever given to its
// backend. ok is false where there is nothing unacknowledged, until is closed first, or something is on its way (a truncation, a write
// of another handle) that has no order with a request through this handle.
func (h *Handle) allUnderWay(until <-chan struct{}) (asked int64, ok bool) {
	f := h.file
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.dirty() {
		return 0, false
	}
	f.makeDue()
	f.pump()
	for len(f.pending.s) > 0 {
		wake := f.nextEvent()
		f.mu.Unlock()
		select {
		case <-wake:
			f.mu.Lock()
		case <-until:
			f.mu.Lock()
			return 0, false
		}
	}
	alone := f.barrier() == nil
	for _, e := range f.flying.s {
		alone = alone && e.handle == h
	}
	return h.asked, alone
}
