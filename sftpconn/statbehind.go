package sftpconn

import "context"

// StatBehind asks for the attributes of the file in the flight of its last WRITEs: it waits as FsyncBehind does, and asks where all
// that are not answered then are on one channel, behind them. told says what the server has answered, provided that no WRITE has
// been sent since: then the file was this when the last of them was done, if each has succeeded. nil where that can't be known;
// then Stat is to be called behind the last answer.
//
// It needs a server that answers in order.
func (f *File) StatBehind(ctx context.Context, until <-chan struct{}, asked int64) (told func() (Attr, bool)) {
	if !f.lockSent(ctx, until, asked) {
		return nil
	}
	h := f.lastWritten()
	if h == nil {
		f.mu.Unlock()
		return nil
	}
	call := h.ch.s.Fstat(h.id)
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

// lastWritten gives the handle through which all WRITEs in flight go; nil where there are none, or through several, or where a
// question behind them might be answered before them, or before bits that the file is still to get. With mu held.
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
