package sftpconn

import "context"

// StatBehind asks for the attributes of the file in the flight of its last WRITEs. As FsyncBehind does, it first waits until asked bytes
// are sent, or until or ctx ends. Then, if all unanswered WRITEs are on one channel, it asks behind them and waits for the answer. Where
// that is not possible it returns nil: call Stat when the last WRITE is answered.
//
// told returns the answer, and whether no WRITE has been sent since the question. If so, the answer is what the file is after those
// WRITEs, provided that each has succeeded.
//
// It needs a server that answers in order, as FsyncBehind does.
func (f *File) StatBehind(ctx context.Context, until <-chan struct{}, asked int64) (told func() (Attr, bool)) {
	if !f.lockSent(ctx, until, asked) {
		return nil
	}
	h := f.lastWritten()
	if h == nil {
		f.mu.Unlock()
		return nil
	}
	call := h.ch.s.Fstat(h.id) // with mu held, so that sent counts no WRITE that is queued behind it
	h.refs++
	sent := f.out.sent
	f.mu.Unlock()
	err := h.ch.wait(ctx, call)
	f.drop(h)
	if err != nil {
		return nil
	}
	return func() (Attr, bool) {
		f.mu.Lock()
		defer f.mu.Unlock()
		return call.Attr(), f.out.sent == sent
	}
}

// lastWritten returns the handle through which all WRITEs in flight go. It returns nil where there are none, or they go through several,
// or where a question behind them might be answered before them, or before the file has permission bits that it is still to get. With mu
// held.
func (f *File) lastWritten() *handle {
	for ch, h := range f.handles {
		if h.writes > 0 {
			if h.writes < f.out.flying || !h.open() || !ordered(ch.s) || f.c.owesBeside(f, ch) {
				return nil
			}
			return h
		}
	}
	return nil
}
