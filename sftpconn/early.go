package sftpconn

import (
	"context"

	"sshmount/sftpconn/session"
)

// readEarly lets READs go out behind an OPEN of h that is not answered yet, where its handle can be foreseen and the file
// will most likely prove to be the same: they would be in vain otherwise.
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

// confirm says whether what was read early through h is the file's: its handle was as foreseen, and what was opened has
// proved to be the file. It waits until that is known: as a rule it is when a READ through h is answered, and later only
// where the proof takes a request on another channel.
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

// headMost is how much of a file is read in the flight of its opening at most, in bytes: what the kernel asks for first.
const headMost = 128 << 10

// HeadNear takes the place of headMost within lanRTT, in bytes, and nothing is read there of what is believed to be longer: a round trip
// costs less than the server takes for more, and who opens a database for a page of it would wait for that. So where the server takes
// READs of this size, a file of up to HeadNear bytes comes with its opening at any distance.
const HeadNear = 64 << 10

// head is the READ of a file's beginning in the flight of its OPEN. Of a file so long that it may be read over several
// channels, the attributes are asked for besides (see findStill).
type head struct {
	ch   *channel
	g    grant
	read *session.Call
	look *session.Call // nil for a small file
	over bool          // g was given back, or will be with the answer
}

// readHead asks for the beginning of the file; nil where that can't be, or the line has no room for it.
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

// finish waits for what has come, behind the answer to open; nil where it is not of that file. Its error is that of a lost
// session or of ctx: what else is wrong with a READ shows when the file is read.
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

// drop gives up a read whose file was not opened; after finish it does nothing.
func (h *head) drop() {
	if h == nil || h.over {
		return
	}
	h.ch.giveUp(h.read, func(int) { h.ch.link.read.release(h.g, 0, 0) })
}
