package filedata

import (
	"context"
	"errors"
)

// errAgain has a read begin again: what it found where the bytes are is not true any more.
var errAgain = errors.New("read again")

// Read returns n bytes at off; fewer only at the end of the file. At or behind what is known to be the end it asks the server. It
// sees every byte that was written before, acknowledged or not. When ctx ends its cause is returned; the requests go on. An error of
// the server is returned as the backend has given it.
func (h *Handle) Read(ctx context.Context, off int64, n int) (View, error) {
	if n <= 0 || off < 0 {
		return View{}, nil
	}
	a := assemblies.Get().(*assembly)
	for {
		v, err := h.read(ctx, a, off, n)
		if err == nil {
			return v, nil
		}
		if err != errAgain {
			a.release()
			return View{}, err
		}
		a.drop()
		if ctx.Err() != nil {
			a.release()
			return View{}, context.Cause(ctx)
		}
	}
}

// read is one try of Read; errAgain where what it has found is not true any more. a is empty.
func (h *Handle) read(ctx context.Context, a *assembly, off int64, n int) (View, error) {
	f := h.file
	end := off + int64(n)
	if end < off {
		end = maxOffset
	}
	f.mu.Lock()
	if h.closed {
		f.mu.Unlock()
		return View{}, ErrClosed
	}
	if f.dirty() {
		end = min(end, f.size)
	} else if f.short && h.clean == f.clean || off >= f.remote {
		h.fetches.Add(1)
		f.mu.Unlock()
		defer h.fetches.Done()
		return h.readBehind(ctx, a, off, n)
	} else {
		end = min(end, f.remote)
	}
	asked := h.collect(a, off, end)
	needed := len(asked)
	waits := needed > 0
	for i := range a.parts {
		if s := a.parts[i].span; s != nil && !s.ready() {
			waits = true
		}
	}
	if !h.pool.o.NoReadAhead && end > off {
		asked = h.readAhead(asked, off, end, needed > 0, waits)
	}
	h.started = true
	f.mu.Unlock()
	if len(asked) > 0 {
		h.send(asked)
		h.pool.trim()
	}
	if err := h.wait(ctx, a); err != nil {
		return View{}, err
	}
	v, consumed, err := h.assemble(a, off)
	if consumed {
		h.pool.trim()
	}
	return v, err
}

// collect finds for all bytes of [off, end) where they are, and adds the parts to a. It makes spans for those that are nowhere here, which are
// returned and have to be sent.
func (h *Handle) collect(a *assembly, off, end int64) (asked []*span) {
	f := h.file
	for x := off; x < end; {
		e, next := f.unacknowledged(x)
		next = min(next, end)
		if e != nil {
			e.buf.ref()
			a.parts = append(a.parts, part{off: x, end: next, buf: e.buf, base: e.base})
			x = next
			continue
		}
		if f.dirty() {
			// The server can have no bytes behind this.
			if hole := max(f.remote, f.high); x >= hole {
				a.parts = append(a.parts, part{off: x, end: next})
				x = next
				continue
			} else {
				next = min(next, hole)
			}
		}
		s, ok, begin := h.clean.at(x)
		if ok {
			next = min(next, s.end)
			s.buf.ref()
			a.parts = append(a.parts, part{off: x, end: next, buf: s.buf, base: s.base, span: s})
			x = next
			continue
		}
		hi := min(next, begin)
		if hi < next {
			hi = h.bridge(x, hi, next)
		}
		lo, hi := h.widen(x, hi)
		asked = h.ask(asked, lo, hi)
	}
	return asked
}

// widen makes a gap that must be read longer: to whole pages or, at the first read of a small file, to its end.
func (h *Handle) widen(lo, hi int64) (int64, int64) {
	f := h.file
	if h.pool.o.NoReadAhead {
		return lo, hi
	}
	if from := lo &^ (pageSize - 1); from < lo {
		if g, end := h.nextGap(from, hi); g < lo && end == hi {
			lo = g
		}
	}
	to := (hi + pageSize - 1) &^ (pageSize - 1)
	if !h.started && f.remote-lo <= int64(h.maxRead) {
		to = f.remote
	}
	if to = min(to, f.remote); to > hi {
		if g, end := h.nextGap(hi, to); g == hi {
			hi = end
		}
	}
	return lo, hi
}

// wait waits for the spans among the parts, and returns the first error of theirs.
func (h *Handle) wait(ctx context.Context, a *assembly) error {
	var failed error
	for i := range a.parts {
		s := a.parts[i].span
		if s == nil || s.done == nil {
			continue
		}
		select {
		case <-s.done:
		default:
			select {
			case <-s.done:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if s.err != nil && failed == nil {
			failed = s.err
			if s.handle != h && h.pool.ctx.Err() == nil {
				failed = errAgain // the handle that has asked was closed, or has lost its file: this one has to ask itself
			}
		}
	}
	if failed != nil && h.ctx.Err() != nil {
		return ErrClosed
	}
	return failed
}

// assemble makes the View of the parts, whose bytes are here, from off on as far as the file goes. consumed says that a span has been read to
// its end.
func (h *Handle) assemble(a *assembly, off int64) (v View, consumed bool, err error) {
	f := h.file
	f.mu.Lock()
	defer f.mu.Unlock()
	x := off
	for i := range a.parts {
		p := &a.parts[i]
		got, ok := f.arrived(p)
		if !ok {
			return View{}, false, errAgain
		}
		if s := p.span; s != nil && s.kept {
			s.read += got - p.off
			consumed = consumed || s.consumed()
			f.pool.touch(s)
		}
		if got > p.off {
			a.vecs = append(a.vecs, p.buf.data[p.off-p.base:got-p.base])
		}
		zeroEnd := f.zeroEnd(p)
		for x = got; x < zeroEnd; {
			n := min(zeroEnd-x, int64(len(zeros)))
			a.vecs = append(a.vecs, zeros[:n])
			x += n
		}
		if x < p.end {
			break
		}
	}
	return View{Vecs: a.vecs, N: int(x - off), a: a}, consumed, nil
}

// arrived is where those bytes of a part end that a program has written or the server has sent; a hole has none. ok is false where the server
// saw the end of the file in the part, and the file may have grown since.
func (f *File) arrived(p *part) (end int64, ok bool) {
	switch s := p.span; {
	case p.buf == nil:
		return p.off, true
	case s == nil || !s.eof || s.start+int64(s.got) >= p.end:
		return p.end, true
	default:
		return max(p.off, s.start+int64(s.got)), s.grown == f.grown
	}
}

// zeroEnd is where the zeros end that follow the bytes of a part. A hole is made of nothing else; and where a program has made the file longer
// than the server's, there are zeros behind the end of that.
func (f *File) zeroEnd(p *part) int64 {
	switch {
	case p.buf == nil:
		return p.end
	case f.dirty():
		return min(p.end, f.size)
	default:
		return p.off
	}
}

// readBehind asks the server for bytes behind the known size, or of a short file, and keeps nothing of them. The file may have grown; or its
// content is made when it is read, so that its size is 0 (/proc) or more than there is (/sys).
func (h *Handle) readBehind(ctx context.Context, a *assembly, off int64, n int) (View, error) {
	defer h.pool.trim()
	f := h.file
	f.mu.Lock()
	grown := f.grown
	f.mu.Unlock()
	asking, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.ctx, cancel)()
	v := View{a: a}
	for n > v.N {
		want := min(n-v.N, h.maxRead)
		at := off + int64(v.N)
		b := h.pool.alloc(want, false)
		a.parts = append(a.parts, part{buf: b})
		got, eof, err := readFull(asking, h.backend, b.data[:want], at)
		if err != nil {
			if h.ctx.Err() != nil {
				return View{}, ErrClosed
			}
			if ctx.Err() != nil {
				return View{}, context.Cause(ctx)
			}
			return View{}, err
		}
		if got > 0 {
			a.vecs = append(a.vecs, b.data[:got])
		}
		v.N += got
		if eof {
			h.sawEnd(off+int64(v.N), v.N > 0, grown)
			break
		}
	}
	v.Vecs = a.vecs
	return v, nil
}

// sawEnd notes where a short file was seen to end: at off where bytes before that were read (in), else at off or before it. It does
// nothing where the file may have grown since the question, before which File.grown was grown. It takes mu.
func (h *Handle) sawEnd(off int64, in bool, grown uint64) {
	f := h.file
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.short && h.clean == f.clean && f.grown == grown && !f.dirty() && (in || off < f.remote) {
		f.remote, f.size = off, off
	}
}
