package filedata

import (
	"context"
	"fmt"
	"io"
	"time"

	"sshmount/sftpconn"
)

// span is a part of a file as the server has told it, or is about to.
type span struct {
	file *File
	in   *blocks // where it is while it is kept

	// What the server is asked for. They don't change.
	handle *Handle // whose backend is asked; nil where nobody was
	start  int64   // offset of the first byte
	want   int     // bytes
	buf    *buffer
	grown  uint64 // File.grown when the request began

	// done is closed when the answer is there: got bytes, and err; eof where the server said that the file ends there.
	// They don't change afterwards. nil in a span that was never asked for.
	done chan struct{}
	got  int
	eof  bool
	err  error

	// Guarded by File.mu.
	off, end  int64 // the part of the file that it stands for
	base      int64 // the offset in the file of buf.data[0]
	kept      bool  // it is in its blocks; where it was dropped or written over those who wait for it get its bytes, and nobody else
	read      int64 // how many of its bytes were read
	unclaimed bool  // no reader is known to come for it: it was written here, or read for a handle that has closed
	written   bool  // it was written here: see File.lacking

	// Guarded by Pool.mu. Only a span that is kept and whose bytes are there is in a list.
	list       *spanList
	prev, next *span
	touched    time.Time
	cost       int64 // bytes of memory
}

func (s *span) bounds() (off, end int64) { return s.off, s.end }

// ready says, under File.mu, whether the bytes are there.
func (s *span) ready() bool {
	if s.done == nil {
		return true
	}
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// consumed says, under File.mu, whether all of it was read.
func (s *span) consumed() bool { return s.read >= s.end-s.off }

// keep puts a span whose bytes are there into the clean ones.
func (f *File) keep(s *span, in *blocks) {
	s.kept, s.in = true, in
	in.insert(s)
	f.pool.touch(s)
}

// nextGap finds the first part of [x, hi) that is neither here nor on its way: that is [lo, end). lo == end where there is none.
func (h *Handle) nextGap(x, hi int64) (lo, end int64) {
	f := h.file
	for x < hi {
		s, ok, next := h.clean.at(x)
		if ok {
			x = s.end
			continue
		}
		e, until := f.unacknowledged(x)
		if e == nil {
			return x, min(hi, next, until)
		}
		x = until
	}
	return hi, hi
}

// bridge makes the gap [lo, end) longer, up to limit, by forgetting small clean spans behind it, and returns its new end. One request for all
// costs less than one for each gap, as long as no more bytes are fetched again than are missing.
func (h *Handle) bridge(lo, end, limit int64) int64 {
	f, clean := h.file, h.clean
	for _, l := range []*ranges[*extent]{&f.pending, &f.flying} {
		if i := l.search(lo); i < len(l.s) {
			limit = min(limit, l.s[i].off)
		}
	}
	missing, again, to := end-lo, int64(0), end
	for i := clean.search(lo); i < len(clean.s); i++ {
		s := clean.s[i]
		next := limit
		if i+1 < len(clean.s) {
			next = min(next, clean.s[i+1].off)
		}
		again += s.end - s.off
		if s.end >= limit || again > missing || !s.ready() {
			break
		}
		if next > s.end {
			missing += next - s.end
			to = next
		}
	}
	if to > end {
		f.cutBlocks(clean, lo, to)
	}
	return to
}

// ask makes spans for the gap [lo, hi), one for each request, and adds them to asked; send starts the requests.
func (h *Handle) ask(asked []*span, lo, hi int64) []*span {
	f := h.file
	f.lacking = false
	for lo < hi {
		n := min(hi-lo, int64(h.maxRead))
		s := &span{file: f, in: h.clean, handle: h, start: lo, want: int(n), off: lo, end: lo + n, base: lo, kept: true,
			grown: f.grown, done: make(chan struct{}), buf: f.pool.alloc(int(n), false)}
		s.cost = int64(len(s.buf.data))
		s.buf.ref() // fetch's own
		f.pool.begin()
		h.fetches.Add(1)
		h.clean.insert(s)
		asked = append(asked, s)
		lo += n
	}
	return asked
}

// send starts the requests for what ask has made, with no lock held: first that for which the reader waits. The others need not go out in
// order, as it is by those that wait for room on the line that is seen how much room is wanted.
func (h *Handle) send(asked []*span) {
	first := (*sftpconn.Turn)(nil).Next()
	for _, s := range asked[1:] {
		go h.fetch(s, first.Next())
	}
	go h.fetch(asked[0], first)
}

// fetch reads one span from the server. It was counted in h.fetches and by pool.begin.
func (h *Handle) fetch(s *span, turn *sftpconn.Turn) {
	defer h.pool.end()
	defer h.fetches.Done()
	defer turn.Done()
	begun := time.Now()
	n, eof, err := readFull(sftpconn.InTurn(h.ctx, turn), h.backend, s.buf.data[:s.want], s.start)
	if err == nil {
		h.pool.rtt.add(time.Since(begun))
	}
	f := s.file
	f.mu.Lock()
	if at := s.start + int64(n); eof && at < f.remote && s.in == f.clean && s.grown == f.grown {
		f.mu.Unlock()
		var more int
		more, eof, err = readFull(h.ctx, grown{h.backend}, s.buf.data[n:s.want], at)
		n += more
		f.mu.Lock()
	}
	s.got, s.eof, s.err = n, eof, err
	close(s.done)
	if s.kept {
		f.keepAnswer(s)
	}
	f.mu.Unlock()
	s.buf.unref()
}

// grown reads a file that the server takes for shorter than it is.
type grown struct{ Backend }

func (g grown) ReadAt(ctx context.Context, dst []byte, off int64) (int, error) {
	return g.ReadGrown(ctx, dst, off)
}

// maxEmpty is how many answers in a row may bring no byte, and no end of file, before a read fails.
const maxEmpty = 3

// readFull reads until dst is full or the server says that the file ends (eof). A short answer is not the end.
func readFull(ctx context.Context, b Backend, dst []byte, off int64) (n int, eof bool, err error) {
	empty := 0
	for n < len(dst) {
		m, err := b.ReadAt(ctx, dst[n:], off+int64(n))
		n += m
		if err == io.EOF {
			return n, true, nil
		}
		if err != nil {
			return n, false, err
		}
		if m > 0 {
			empty = 0
		} else if empty++; empty == maxEmpty {
			return n, false, fmt.Errorf("read at offset %d: the server sends no bytes and no end of file: %w", off+int64(n), io.ErrNoProgress)
		}
	}
	return n, false, nil
}

// keepAnswer keeps what is good of the answer to the request of s, which is kept.
func (f *File) keepAnswer(s *span) {
	if s.err != nil {
		f.dropSpan(s)
		return
	}
	if s.eof {
		at := s.start + int64(s.got)
		if f.grown != s.grown {
			// The file may have grown since the server saw its end.
			f.dropSpan(s)
			return
		}
		if at < f.remote && s.in == f.clean { // the end of an earlier file says nothing of this one's
			f.remote, f.short = at, true
			if !f.dirty() {
				f.size = at
			}
		}
		f.cutBlocks(s.in, at, maxOffset) // s, too: what it has got becomes a span of its own
		return
	}
	s.unclaimed = s.handle.closed
	f.pool.touch(s)
}

// dropSpan takes s, which is kept, out of the clean spans.
func (f *File) dropSpan(s *span) {
	if i := s.in.index(s.off); i >= 0 && s.in.s[i] == s {
		s.in.remove(i, i+1)
	}
	f.letGo(s)
}

// letGo ends a span that was taken out of its blocks.
func (f *File) letGo(s *span) {
	s.kept = false
	f.pool.forget(s)
	s.buf.unref()
}

// evict is dropSpan for the pool. It takes mu.
func (f *File) evict(s *span) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.kept {
		f.lacking = f.lacking || f.unpaged || s.written && s.read == 0
		f.dropSpan(s)
	}
}

// cutBlocks forgets in b what the server said of [off, end). A span whose answer is still on its way is forgotten as a whole.
func (f *File) cutBlocks(b *blocks, off, end int64) {
	i := b.search(off)
	j := i
	var left, right *span
	for ; j < len(b.s) && b.s[j].off < end; j++ {
		s := b.s[j]
		if s.ready() {
			if s.off < off {
				left = s.part(s.off, off)
			}
			if s.end > end {
				right = s.part(end, s.end)
			}
		}
		f.letGo(s)
	}
	if i == j {
		return
	}
	b.remove(i, j)
	for _, s := range []*span{left, right} {
		if s != nil {
			b.insert(s)
			f.pool.touch(s)
		}
	}
}

// part makes a span of the bytes [off, end) of s, in the same memory.
func (s *span) part(off, end int64) *span {
	s.buf.ref()
	return &span{file: s.file, in: s.in, off: off, end: end, base: s.base, buf: s.buf, kept: true, read: s.read,
		unclaimed: s.unclaimed, written: s.written, cost: end - off}
}
