package sftpconn

import (
	"context"
	"errors"
	"io"
	"sync"

	"sshmount/sftpconn/session"
)

// ticket is the right to send one READ or WRITE on an open handle.
type ticket struct {
	h *handle
	g grant
}

// ReadAt reads up to len(dst) ≤ MaxRead bytes in one flight. On a slow line it is cut
// into several requests, so that others get in between. n < len(dst) with a nil
// error is a short read: ask again. io.EOF comes only when the server said so at this
// offset. dst is free again when it returns, also on ctx's end.
func (f *File) ReadAt(ctx context.Context, dst []byte, off int64) (int, error) {
	dst = dst[:min(len(dst), f.MaxRead())]
	if len(dst) == 0 {
		return 0, nil
	}
	ahead := f.r.Ahead || isAhead(ctx)
	size := f.c.pieceSize(reading, len(dst))
	if size >= len(dst) {
		n, err := f.move(ctx, reading, dst, off, ahead, nil)
		return n, f.readError(n, err)
	}
	counts, errs := f.cut(ctx, reading, dst, off, size, ahead)
	n := 0
	for i, k := range counts {
		n += k
		if errs[i] != nil {
			return n, f.readError(n, errs[i])
		}
		if k < min(size, len(dst)-i*size) {
			break
		}
	}
	return n, nil
}

// readError is the error of a read that got n bytes before err: those count first.
func (f *File) readError(n int, err error) error {
	switch {
	case n > 0:
		return nil
	case errors.Is(err, io.EOF):
		return io.EOF
	}
	return f.wrap(err, "read")
}

// WriteAt writes all of p, acknowledged by the server, or fails. p is free again when it returns.
func (f *File) WriteAt(ctx context.Context, p []byte, off int64) error {
	if len(p) == 0 {
		return nil
	}
	f.extend(off + int64(len(p)))
	size := f.c.pieceSize(writing, f.MaxWrite())
	if size >= len(p) {
		_, err := f.move(ctx, writing, p, off, f.r.Ahead, nil)
		return f.wrap(err, "write")
	}
	_, errs := f.cut(ctx, writing, p, off, size, f.r.Ahead)
	for _, err := range errs {
		if err != nil {
			return f.wrap(err, "write")
		}
	}
	return nil
}

// extend notes how far the file was written.
func (f *File) extend(end int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.end = max(f.end, end)
}

// pieceSize is what one request should carry of n bytes, at most the server's limit.
func (c *Conn) pieceSize(dir, n int) int {
	limit := c.maxRead()
	if dir == writing {
		limit = c.maxWrite()
	}
	links := c.allLinks()
	if len(links) == 0 {
		return min(limit, n)
	}
	p := &links[0].read
	if dir == writing {
		p = &links[0].write
	}
	return min(p.pieceSize(), limit)
}

// cut moves p in pieces of size bytes: they are sent in order, and wait for each other in none.
// When one fails, no more are sent.
func (f *File) cut(ctx context.Context, dir int, p []byte, off int64, size int, ahead bool) ([]int, []error) {
	pieces := (len(p) + size - 1) / size
	counts, errs := make([]int, pieces), make([]error, pieces)
	var wg sync.WaitGroup
	defer wg.Wait()
	for i := range pieces {
		part := p[i*size : min((i+1)*size, len(p))]
		at := off + int64(i*size)
		f.pending.Add(int64(len(part)))
		t, err := f.ticket(ctx, dir, len(part), ahead)
		f.pending.Add(-int64(len(part)))
		if err != nil {
			errs[i] = err
			return counts[:i+1], errs[:i+1]
		}
		wg.Go(func() { counts[i], errs[i] = f.move(ctx, dir, part, at, ahead, &t) })
	}
	return counts, errs
}

// move is one READ or WRITE of p, sent again for as long as the session is lost
// under it. t is the ticket for the first time; nil where there is none yet.
func (f *File) move(ctx context.Context, dir int, p []byte, off int64, ahead bool, t *ticket) (int, error) {
	f.pending.Add(int64(len(p)))
	defer f.pending.Add(-int64(len(p)))
	for {
		if t == nil {
			got, err := f.ticket(ctx, dir, len(p), ahead)
			if err != nil {
				return 0, err
			}
			t = &got
		}
		var call *session.Call
		if dir == reading {
			call = t.h.ch.s.Read(t.h.id, uint64(off), p)
		} else {
			call = t.h.ch.s.Write(t.h.id, uint64(off), p)
		}
		err := f.finish(ctx, dir, *t, call, len(p))
		t = nil
		if !isLost(err) {
			if err != nil {
				return 0, err
			}
			return call.N(), nil
		}
	}
}

// ticket waits for an open handle, and for room on its link for n bytes.
func (f *File) ticket(ctx context.Context, dir, n int, ahead bool) (ticket, error) {
	for {
		h, err := f.use(ctx, dir, n)
		if err != nil {
			return ticket{}, err
		}
		g, err := h.ch.pacer(dir).acquire(ctx, n, ahead)
		if err != nil {
			f.drop(h)
			if errors.Is(err, errLinkOver) {
				continue
			}
			return ticket{}, err
		}
		// Another channel of the link may have become the better one meanwhile.
		f.mu.Lock()
		if best := f.best(dir, n, h.ch.link); best != nil && best != h {
			h.refs--
			best.refs++
			h = best
		}
		h.ch.load[dir].Add(int64(n))
		f.mu.Unlock()
		return ticket{h, g}, nil
	}
}

// finish waits for the call of a ticket, which it gives back. The call's buffer is
// free when it returns.
func (f *File) finish(ctx context.Context, dir int, t ticket, call *session.Call, n int) error {
	ch := t.h.ch
	end := func(done int) {
		ch.load[dir].Add(int64(-n))
		ch.pacer(dir).release(t.g, done, call.RTT())
		f.drop(t.h)
	}
	e := f.c.journal.begin()
	err := call.Wait(ctx)
	f.c.journal.end(e)
	select {
	case <-call.Done():
		err = call.Wait(ctx) // the answer, where both came at once
	default:
		if call.Abandon() {
			// The answer is still on its way, and takes its room on the line.
			f.c.spawn(func() {
				<-call.Done()
				end(0)
			})
			return err
		}
		<-call.Done()
	}
	if err != nil {
		end(0)
		return err
	}
	ch.link.sample(call)
	end(call.N())
	return nil
}

// WriteSetstat is WriteAt and then Setstat, pipelined on one channel where the
// server is known to keep the order. len(p) ≤ MaxWrite.
func (f *File) WriteSetstat(ctx context.Context, p []byte, off int64, a Attr) error {
	if len(p) == 0 {
		return f.Setstat(ctx, a)
	}
	f.extend(off + int64(len(p)))
	for {
		if len(p) > f.MaxWrite() {
			break
		}
		t, err := f.ticket(ctx, writing, len(p), false)
		if err != nil {
			return f.wrap(err, "write")
		}
		s := t.h.ch.s
		if !ordered(s) {
			call := s.Write(t.h.id, uint64(off), p)
			if err = f.finish(ctx, writing, t, call, len(p)); err == nil {
				return f.Setstat(ctx, a)
			}
		} else {
			f.hold(t.h)
			call := s.Write(t.h.id, uint64(off), p)
			set := s.Fsetstat(t.h.id, a)
			err = f.finish(ctx, writing, t, call, len(p))
			if setErr := t.h.ch.wait(ctx, set); err == nil && setErr != nil {
				err = setErr
			}
			f.drop(t.h)
		}
		if !isLost(err) {
			return f.wrap(err, "write")
		}
	}
	if err := f.WriteAt(ctx, p, off); err != nil {
		return err
	}
	return f.Setstat(ctx, a)
}

// hold takes one more reference of a handle in use.
func (f *File) hold(h *handle) {
	f.mu.Lock()
	defer f.mu.Unlock()
	h.refs++
}
