package sftpconn

import (
	"context"

	"sshmount/sftpconn/session"
)

// readEarly lets READs go out behind the OPEN of h before that is answered. It does so only where the handle can be foreseen and the
// opened file will most likely prove to be the same, as the READs would be in vain otherwise.
func (f *File) readEarly(h *handle, open *session.Call) {
	id := open.Foreseen()
	if id == "" || !f.leftAlone(f.mtime) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	h.id, h.early = id, open
	f.admit(reading)
}

// confirm reports whether what was read early through h is of the file: the handle was as foreseen, and what was opened has proved to
// be the same file. It waits until that is known. As a rule it is when a READ through h is answered; only a proof that takes a request
// on another channel comes later.
func (f *File) confirm(ctx context.Context, h *handle) (bool, error) {
	select {
	case <-h.done:
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return h.err == nil && h.early.AsForeseen(), nil
}

// headMost is the most that is read of a file in the flight of its opening, in bytes: as much as the kernel asks for first.
const headMost = 128 << 10

// HeadNear takes the place of headMost within lanRTT, in bytes. There, nothing is read in the flight of the opening of a file that is
// believed to be longer: a round trip costs less than it takes the server to read more, and a program that opens a database for one page
// would wait for that. So a file of up to HeadNear bytes is read in the flight of its opening at any distance, if the server takes READs
// of this size.
const HeadNear = 64 << 10

// head is the READ of a file's beginning in the flight of its OPEN. For a file so long that it may be read over several channels, the
// flight has an FSTAT, too (see findStill).
type head struct {
	ch   *channel
	g    grant
	read *session.Call
	look *session.Call // nil for a small file
	over bool          // finish was called, which gives g back
}

// readHead sends the READ of the file's beginning. It returns nil where that is not possible, or the line has no room for it.
func (o *opening) readHead(ch *channel, open *session.Call) *head {
	n := int(min(o.r.Size, headMost, int64(o.c.MaxRead())))
	if n == 0 || open.Foreseen() == "" || n > HeadNear && ch.link.rtt.get() <= lanRTT {
		return nil
	}
	g, ok := ch.link.read.tryAcquire(n)
	if !ok {
		return nil
	}
	h := &head{ch: ch, g: g, read: ch.s.Read(open.Foreseen(), 0, make([]byte, g.n))}
	if o.r.Size > 2*carried {
		ch.link.reserve(&ch.link.read)
	}
	if o.r.Size > bulkAfter {
		h.look = ch.s.Fstat(open.Foreseen())
	}
	return h
}

// finish waits for the answers, and returns what they bring; nil where that may be of another file. open is answered by then. It fails
// only where the session is lost or ctx ends: any other error of the READ shows when the file is read.
func (h *head) finish(ctx context.Context, open *session.Call) (content []byte, looked *Attr, err error) {
	if h == nil {
		return nil, nil, nil
	}
	h.over = true
	_, err = h.ch.transfer(ctx, h.read, func(done int) { h.ch.link.read.release(h.g, done, h.read.RTT()) })
	if err == nil && open.AsForeseen() {
		content = h.read.Data()
	}
	if h.look != nil && !isLost(err) && ctx.Err() == nil {
		if err = h.ch.wait(ctx, h.look); err == nil && open.AsForeseen() {
			looked = new(h.look.Attr())
		}
	}
	if isLost(err) || ctx.Err() != nil {
		return nil, nil, err
	}
	return content, looked, nil
}

// drop gives up the READ of a file that was not opened. After finish it does nothing.
func (h *head) drop() {
	if h == nil || h.over {
		return
	}
	h.ch.giveUp(h.read, func(int) { h.ch.link.read.release(h.g, 0, 0) })
}
