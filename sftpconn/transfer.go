package sftpconn

import (
	"cmp"
	"context"
	"errors"
	"io"
	"sync"

	"sshmount/sftpconn/session"
)

// ReadAt reads up to len(dst) ≤ MaxRead bytes at offset off, in one flight, and returns how many. On a slow line it sends several small
// requests, so that other requests get in between. Fewer bytes than len(dst) with a nil error are a short read: ask again for the rest
// (but not for ever where there were none). It returns io.EOF only if the server has said so at this offset. When it returns dst is the
// caller's again, also where ctx has ended.
func (f *File) ReadAt(ctx context.Context, dst []byte, off int64) (int, error) {
	dst = dst[:min(len(dst), f.MaxRead())]
	if n, err, ok := f.readRenewed(ctx, dst, off); ok {
		return n, err
	}
	n := 0
	for _, p := range f.pass(ctx, reading, dst, off) {
		n += p.n
		if p.err != nil {
			return n, f.readError(n, p.err)
		}
		if p.n < p.size {
			break
		}
	}
	return n, nil
}

// readError returns the error of a ReadAt that got n bytes before err. Where it got some, that is none.
func (f *File) readError(n int, err error) error {
	switch {
	case n > 0:
		return nil
	case errors.Is(err, io.EOF):
		return io.EOF
	case errors.Is(err, session.ErrNoProgress):
		return nil // as short as an answer can be
	}
	return f.wrap(err, "read")
}

// WriteAt writes all of p at offset off, and returns when the server has acknowledged it, or fails. When it returns p is the caller's
// again.
func (f *File) WriteAt(ctx context.Context, p []byte, off int64) error {
	f.extend(off + int64(len(p)))
	for _, part := range f.pass(ctx, writing, p, off) {
		if part.err != nil {
			return f.wrap(part.err, "write")
		}
	}
	return nil
}

// extend notes that the file is to be written, or made as long, up to end.
func (f *File) extend(end int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.end = max(f.end, end)
}

// acknowledge notes that the server has the bytes up to end.
func (f *File) acknowledge(end int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.acked = max(f.acked, end)
	f.exposed.end = max(f.exposed.end, end)
	f.exposed.acks++
}

// reach returns how far the file may be written by now, and how far it is for sure.
func (f *File) reach() (end, acked uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return uint64(f.end), uint64(f.acked)
}

// part is the share of one request in a read or write.
type part struct {
	size int // bytes asked for
	n    int // bytes moved
	err  error
}

// pass reads into p, or writes it, in as many requests as suit the line and the server. They
// are sent in order, without waiting for each other's answers. When one can't be sent, no more are.
func (f *File) pass(ctx context.Context, dir int, p []byte, off int64) []*part {
	f.pending.Add(int64(len(p)))
	defer f.pending.Add(-int64(len(p)))
	f.count(len(p))
	f.crowd(dir)
	limit := f.MaxRead()
	if dir == writing {
		limit = f.MaxWrite()
		f.askWrite(len(p))
	}
	fail := func(unsent int, err error) *part {
		if dir == writing {
			f.unaskWrite(unsent)
		}
		return &part{err: err}
	}
	turn := turnOf(ctx)
	if err := turn.wait(ctx); err != nil {
		return []*part{fail(len(p), err)}
	}
	ask := want{order: turn.place(), of: f}
	if dir == reading {
		ask.waits = turn.Done // where this one has to wait, the next may queue up behind it
	}
	var parts []*part
	var others sync.WaitGroup
	defer others.Wait()
	for at := 0; at < len(p); {
		if err := f.hopeless(dir, off+int64(at)); err != nil {
			return append(parts, fail(len(p)-at, err))
		}
		ask.n = min(len(p)-at, limit)
		t, err := f.ticket(ctx, dir, ask)
		if err != nil {
			return append(parts, fail(len(p)-at, err))
		}
		one := &part{size: int(t.g.n)}
		parts = append(parts, one)
		piece, pos := p[at:at+one.size], off+int64(at)
		call := f.request(dir, t, piece, pos, len(piece))
		if at += one.size; at < len(p) {
			others.Go(func() { one.n, one.err = f.move(ctx, dir, piece, pos, t, call) })
		} else {
			turn.Done()
			one.n, one.err = f.move(ctx, dir, piece, pos, t, call)
		}
	}
	return parts
}

// count notes that n bytes more are to be moved.
func (f *File) count(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.moved += int64(n)
}

// request queues the READ or WRITE of p that t stands for in its session. first is how many bytes of a WRITE are sent for the first time.
func (f *File) request(dir int, t ticket, p []byte, off int64, first int) *session.Call {
	if dir == reading {
		return t.h.ch.s.Read(t.id, uint64(off), p)
	}
	return f.write(t, p, off, first)
}

// write is request for a WRITE.
func (f *File) write(t ticket, p []byte, off int64, first int) *session.Call {
	if f.r.Written != nil {
		f.r.Written()
	}
	call := t.h.ch.s.Write(t.id, uint64(off), p)
	f.sentWrite(t.h, first)
	return call
}

// move waits for one READ or WRITE of p, and sends it again whenever the session is lost under it. t and call are those of the first
// time. It returns how many bytes were moved.
func (f *File) move(ctx context.Context, dir int, p []byte, off int64, t ticket, call *session.Call) (int, error) {
	var lost losses
	for ; ; call = f.request(dir, t, p, off, 0) {
		err := f.finish(ctx, dir, t, call)
		if t.early && !isLost(err) {
			good, ended := f.confirm(ctx, t.h)
			if ended != nil {
				return 0, ended
			}
			if !good {
				if t, err = f.ticket(ctx, dir, want{n: len(p), whole: true, order: t.order, of: f}); err != nil {
					return 0, err
				}
				continue
			}
		}
		if err == nil {
			if dir == writing {
				f.acknowledge(off + int64(len(p)))
			}
			return call.N(), nil
		}
		if !isLost(err) {
			return 0, err
		}
		if lost.tooMany(err, lossesFile) {
			return 0, f.giveUp(dir, off, err)
		}
		if err := f.hopeless(dir, off); err != nil {
			return 0, err
		}
		if t, err = f.ticket(ctx, dir, want{n: len(p), whole: true, order: t.order, of: f}); err != nil {
			return 0, err
		}
	}
}

// WriteSetstat is WriteAt and then Setstat. Where the server is known to keep the order, both go out in
// one flight. len(p) ≤ MaxWrite. Where the attributes alone are refused, the error is a *SetRefusedError.
func (f *File) WriteSetstat(ctx context.Context, p []byte, off int64, a Attr) error {
	if len(p) == 0 {
		return f.Setstat(ctx, a)
	}
	f.extend(off + int64(len(p)))
	unsent := len(p)
	f.askWrite(unsent)
	defer func() { f.unaskWrite(unsent) }()
	turn := turnOf(ctx)
	if err := turn.wait(ctx); err != nil {
		return f.wrap(err, "write")
	}
	order := turn.place()
	var lost losses
	for len(p) <= f.MaxWrite() { // a new connection may take less
		if err := f.hopeless(writing, off); err != nil {
			return f.wrap(err, "write")
		}
		t, err := f.ticket(ctx, writing, want{n: len(p), whole: true, order: order})
		if err != nil {
			return f.wrap(err, "write")
		}
		pipelined := ordered(t.h.ch.s)
		call := f.write(t, p, off, unsent)
		unsent = 0
		var set *session.Call
		if pipelined {
			f.hold(t.h)
			set = t.h.ch.s.Fsetstat(t.id, a)
		}
		turn.Done()
		if err = f.finish(ctx, writing, t, call); err == nil {
			f.acknowledge(off + int64(len(p)))
		}
		switch {
		case pipelined:
			setErr := t.h.ch.wait(ctx, set)
			f.drop(t.h)
			if err == nil && refused(setErr) {
				return &SetRefusedError{f.wrap(setErr, "fsetstat")}
			}
			err = cmp.Or(err, setErr)
		case err == nil:
			return f.setBehind(ctx, a)
		}
		if !isLost(err) {
			return f.wrap(err, "write")
		}
		if lost.tooMany(err, lossesFile) {
			return f.wrap(f.giveUp(writing, off, err), "write")
		}
	}
	if err := f.WriteAt(ctx, p, off); err != nil {
		return err
	}
	return f.setBehind(ctx, a)
}

// setBehind is Setstat after bytes that are written.
func (f *File) setBehind(ctx context.Context, a Attr) error {
	err := f.Setstat(ctx, a)
	if refused(err) {
		return &SetRefusedError{err}
	}
	return err
}
