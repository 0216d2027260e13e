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
// of the file in the flight of the last of them. known says that there was an answer, a: what the file was when they were written. The
// caller must see to it that nothing else has changed the file since. err is wait's.
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

// behind runs ask, in a goroutine, as soon as all that is unacknowledged is on its way, unless end is called before that. asked is how many
// bytes this handle has ever given to its backend by then. end must be called: it closes until, which has ask return, and waits for that.
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

// allUnderWay sends what is pending, waits until all of it is on its way, and returns how many bytes this handle has ever given to its
// backend. ok is false where nothing is unacknowledged, where until is closed first, and where something is on its way that a request
// through this handle may overtake: times, or a write of another handle.
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
