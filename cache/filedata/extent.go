package filedata

import (
	"context"
	"slices"
	"time"
)

// extent is a part of a file that a program wrote and the server has not acknowledged. It belongs to File.mu.
type extent struct {
	off, end int64
	base     int64 // the offset in the file of buf.data[0]
	buf      *buffer
	handle   *Handle // who wrote it, and through whom it is sent
	epoch    *epoch
	due      bool // to be sent now (while pending)
	born     time.Time
	sent     time.Time               // when it was handed to the backend, while it is flying
	stop     context.CancelCauseFunc // ends its delivery, while it is flying
}

func (e *extent) bounds() (off, end int64) { return e.off, e.end }

func (e *extent) data() []byte { return e.buf.data[e.off-e.base : e.end-e.base] }

// unacknowledged finds the extent whose byte at x a read sees: a pending one before a flying one; nil where there is neither. The answer is
// the same for all bytes before until.
func (f *File) unacknowledged(x int64) (e *extent, until int64) {
	e, ok, next := f.pending.at(x)
	if ok {
		return e, e.end
	}
	e, ok, begin := f.flying.at(x)
	if ok {
		return e, min(next, e.end)
	}
	return nil, min(next, begin)
}

// changeable says whether h may write into the buffer of e, which is pending: nobody else holds the buffer, and no times are to be set
// between what is there and what is written.
func (f *File) changeable(e *extent, h *Handle) bool {
	return e.handle == h && e.buf.refs.Load() == 1 && !f.timesSince(e.epoch)
}

// growable is changeable for bytes behind those of e, which must not become part of what a flush waits for.
func (f *File) growable(e *extent, h *Handle) bool {
	return f.changeable(e, h) && e.epoch == f.epochs[len(f.epochs)-1] && !e.epoch.sealed
}

// addExtent makes an empty extent of an epoch, with a new buffer of at least n bytes. The caller inserts it.
func (f *File) addExtent(h *Handle, epoch *epoch, off int64, n int) *extent {
	epoch.left++
	return &extent{off: off, end: off, base: off, buf: f.pool.alloc(n, true), handle: h, epoch: epoch, born: f.lastWrite}
}

// newest is the epoch of what is written now.
func (f *File) newest() *epoch {
	if n := len(f.epochs); n > 0 && !f.epochs[n-1].sealed {
		return f.epochs[n-1]
	}
	return f.addEpoch()
}

// waitedFor says to which epoch a write of [off, end) belongs; the answer holds for the bytes before until, and nil stands for the newest
// epoch. Bytes that replace pending ones of an epoch for which a flush waits belong to that epoch: when the flush returns, either version
// has to be stored. All other bytes belong to the newest one: beside a program that writes all the time a flush would have no end. So do
// those that replace bytes before which times are to be set, as they must come after the times (keepsOut).
//
// An example: [0, 4) is pending in epoch 1, for which a flush waits, and [4, 8) in epoch 2, the newest. A write of [2, 10) is then two: [2, 4)
// belongs to epoch 1, and [4, 10) to the newest.
func (f *File) waitedFor(off, end int64) (of *epoch, until int64) {
	of, until = f.waitedAt(off)
	for until < end {
		here, next := f.waitedAt(until)
		if here != of {
			break
		}
		until = next
	}
	return of, min(until, end)
}

// waitedAt is waitedFor for the byte at x alone; the answer is the same for all bytes before next.
func (f *File) waitedAt(x int64) (of *epoch, next int64) {
	e, ok, next := f.pending.at(x)
	switch {
	case !ok:
		return nil, next
	case e.epoch.sealed && !f.timesSince(e.epoch):
		return e.epoch, e.end
	default:
		return nil, e.end
	}
}

// inPlace writes p where no more memory is needed for it: into a pending extent, or at the end of one. False: there is no such place.
func (f *File) inPlace(h *Handle, p []byte, off int64) bool {
	end := off + int64(len(p))
	i := f.pending.search(off)
	if i < len(f.pending.s) {
		e := f.pending.s[i]
		if e.off <= off && end <= e.end && f.changeable(e, h) {
			copy(e.buf.data[off-e.base:], p)
			return true
		}
		if e.off < end {
			return false
		}
	}
	if i == 0 {
		return false
	}
	e := f.pending.s[i-1]
	if e.end != off || end-e.base > int64(len(e.buf.data)) || end-e.off > int64(h.maxWrite) || !f.growable(e, h) {
		return false
	}
	copy(e.buf.data[off-e.base:], p)
	f.wrote(e, end)
	f.full(e, i-1)
	return true
}

// wrote notes that e reaches up to end.
func (f *File) wrote(e *extent, end int64) {
	f.pool.dirtyBytes.Add(end - e.end)
	e.end = end
	f.size = max(f.size, end)
}

// full sends e, which is pending.s[i], where it is as large as a request can be.
func (f *File) full(e *extent, i int) {
	if e.end-e.off < int64(e.handle.maxWrite) {
		return
	}
	f.tail = e.end
	if !e.due {
		e.due = true
		f.due++
	}
	if f.sendable(e) {
		f.launch(e, i, i+1)
	}
}

// put writes p at off in place of what is pending there, into new buffers or at the end of one, and returns the epochs of the bytes.
func (f *File) put(h *Handle, p []byte, off int64) (of []*epoch) {
	for len(p) > 0 {
		into, until := f.waitedFor(off, off+int64(len(p)))
		n := until - off
		if e := f.putInto(into, h, p[:n], off); !slices.Contains(of, e) {
			of = append(of, e)
		}
		p, off = p[n:], until
	}
	return of
}

// putInto is put for bytes of one epoch; nil stands for the newest. It returns the epoch. Bytes of an epoch for which a flush waits are due at
// once, and get extents of their own.
func (f *File) putInto(into *epoch, h *Handle, p []byte, off int64) *epoch {
	f.cutPending(off, off+int64(len(p)))
	if into != nil {
		defer f.makeDueIn(off, off+int64(len(p)))
	}
	of := into
	if of == nil {
		of = f.newest()
	}
	for len(p) > 0 {
		var n, i int
		if into == nil {
			n, i = f.extend(h, p, off)
		}
		if n == 0 {
			n, i = f.putNew(of, h, p, off)
		}
		p = p[n:]
		off += int64(n)
		f.full(f.pending.s[i], i)
	}
	return of
}

// extend writes the beginning of p at the end of the pending extent that ends at off, and returns how many bytes, and the index of that; 0
// bytes where none ends there that may grow.
func (f *File) extend(h *Handle, p []byte, off int64) (n, i int) {
	i = f.pending.search(off) - 1
	if i < 0 {
		return 0, 0
	}
	e := f.pending.s[i]
	room := int64(h.maxWrite) - (e.end - e.off)
	if e.end != off || room <= 0 || !f.growable(e, h) {
		return 0, 0
	}
	n = min(len(p), int(room))
	f.grow(e, n)
	copy(e.buf.data[off-e.base:], p[:n])
	f.wrote(e, off+int64(n))
	return n, i
}

// putNew writes the beginning of p into a new extent at off, where nothing is pending, and returns how many bytes, and the index of that.
func (f *File) putNew(of *epoch, h *Handle, p []byte, off int64) (n, i int) {
	n = min(len(p), h.maxWrite)
	size := n
	if off == f.tail {
		size = h.maxWrite // behind a full one, as in a copy: this one will be filled as well
	}
	e := f.addExtent(h, of, off, size)
	copy(e.buf.data, p[:n])
	f.wrote(e, off+int64(n))
	f.pending.insert(e)
	return n, f.pending.search(off)
}

// grow makes room for n more bytes at the end of e.
func (f *File) grow(e *extent, n int) {
	need := int(e.end-e.base) + n
	if need <= len(e.buf.data) {
		return
	}
	size := int(e.end-e.off) + n
	b := f.pool.alloc(max(size, min(8*size, e.handle.maxWrite)), true)
	copy(b.data, e.data())
	e.buf.unref()
	e.buf, e.base = b, e.off
}

// cutPending takes [off, end) out of the pending extents.
func (f *File) cutPending(off, end int64) {
	i := f.pending.search(off)
	for i < len(f.pending.s) {
		e := f.pending.s[i]
		if e.off >= end {
			return
		}
		f.pool.dirtyBytes.Add(-(min(e.end, end) - max(e.off, off)))
		switch {
		case e.off < off && e.end > end:
			e.buf.ref()
			right := *e
			right.off = end
			right.epoch.left++
			if right.due {
				f.due++
			}
			e.end = off
			f.pending.insert(&right)
			return
		case e.off < off:
			e.end = off
			i++
		case e.end > end:
			e.off = end
			return
		default:
			f.pending.remove(i, i+1)
			f.dropExtent(e)
		}
	}
}

// dropExtent ends a pending extent that is out of the list.
func (f *File) dropExtent(e *extent) {
	if e.due {
		f.due--
	}
	e.buf.unref()
	f.leave(e)
}
