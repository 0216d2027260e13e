package sftpconn

import (
	"context"

	"sshmount/sftpconn/session"
)

// Fsync has the server write to its disk everything that was acknowledged before (fsync@openssh.com). Where the server lacks that it does
// nothing, and returns nil. It goes through any handle: the server may take long, and names do not wait for it if the file is open on
// another channel than theirs.
func (f *File) Fsync(ctx context.Context) error {
	f.mu.Lock()
	for _, h := range f.handles {
		h.unstored = h.unstored && !h.ch.s.Has("fsync@openssh.com")
	}
	acks := f.exposed.acks
	f.mu.Unlock()
	call, err := f.ask(ctx, "fsync", forLengthy, func(h *handle) *session.Call {
		if !h.ch.s.Has("fsync@openssh.com") {
			return nil
		}
		return h.ch.s.Fsync(h.id)
	})
	if call != nil && err == nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.exposed.stored(acks)
	}
	return err
}

// FsyncBehind asks for fsync@openssh.com in the flight of the file's last WRITEs: behind them, on each channel that has some. It first
// waits until asked bytes in all were given to WriteAt and WriteSetstat, and all of them are sent; where until is closed before, it gives
// up and returns nil. Call stored when the WRITEs are answered and each has succeeded: it reports whether the server has stored all that
// was written. It is nil where that can't be known: call Fsync when the last WRITE is answered. An error is the server's, and must be
// reported, because the server may not report it again.
//
// It needs a server that answers in order (draft-ietf-secsh-filexfer-02 section 3 leaves that open; OpenSSH does).
func (f *File) FsyncBehind(ctx context.Context, until <-chan struct{}, asked int64) (stored func() bool, err error) {
	if !f.lockSent(ctx, until, asked) {
		return nil, nil
	}
	handles, possible := f.toStore()
	calls := make([]*session.Call, len(handles))
	if possible {
		for i, h := range handles {
			calls[i] = h.ch.s.Fsync(h.id)
			h.refs++
		}
		for _, h := range f.handles {
			h.unstored = false
		}
	}
	sent := f.out.sent
	f.mu.Unlock()
	if !possible {
		return nil, nil
	}
	for i, h := range handles {
		answer := h.ch.wait(ctx, calls[i])
		f.drop(h)
		possible = possible && answer == nil
		if refused(answer) && err == nil {
			err = f.wrap(answer, "fsync")
		}
	}
	if !possible {
		return nil, err
	}
	return func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.out.sent != sent {
			return false
		}
		f.exposed.stored(f.exposed.acks) // the acknowledgements came behind the fsync, of writes before it
		return true
	}, nil
}

// toStore returns the handles through which to send an FSYNC: those with unanswered WRITEs. Handles whose WRITEs are answered need none of
// their own; where that is so of all, one handle is enough. possible says whether these FSYNCs store everything. It is false also on a
// short line where more than one would be needed: the round trip that they save is not worth it. With mu held.
func (f *File) toStore() (handles []*handle, possible bool) {
	written := false
	for _, h := range f.handles {
		if !h.unstored {
			continue
		}
		if !h.open() || !ordered(h.ch.s) {
			return nil, false
		}
		written = true
		if h.refs == 0 {
			continue
		}
		if handles = append(handles, h); len(handles) > 1 && h.ch.link.rtt.get() <= farRTT {
			return nil, false
		}
	}
	if written && len(handles) == 0 {
		handles = append(handles, f.best(f.main(), forLengthy, nil)) // never nil: one that was written through is open
	}
	return handles, written
}
