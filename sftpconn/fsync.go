package sftpconn

import (
	"context"

	"sshmount/sftpconn/session"
)

// Fsync is fsync@openssh.com, of all that was acknowledged before; nil where the server lacks it. Any handle is as good, and the
// server may take long: names do not wait for it where the file is open on another channel.
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

// FsyncBehind asks for fsync@openssh.com in the flight of the file's last WRITEs: on each channel that has some, behind them. It
// first waits until asked bytes were given to WriteAt and WriteSetstat in all and each of them is sent; where until is closed
// before that, it gives up and returns nil. stored, called when the WRITEs are answered and each has succeeded, says whether the
// server has stored all that was written. It is nil where that can't be known: then Fsync is to be called when the last WRITE is
// answered. An error is the server's, and must be told: the server may tell of it only once.
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

// toStore gives the handles with WRITEs in flight that no FSYNC has followed, and says whether one behind each of them stores
// all. Those whose WRITEs are answered need none of their own, and where all are, one handle is enough. On a short line the
// round trip is not worth more than one. With mu held.
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
		handles = append(handles, f.best(f.main(), forLengthy, nil)) // there is one: that which was written to
	}
	return handles, written
}
