package filedata

import (
	"context"
	"errors"
	"time"

	"sshmount/sftpconn"
)

const (
	// maxFlying is how many requests of one file are handed to the backend at once. It paces them; this many are enough for
	// any line that the budget is enough for.
	maxFlying = 256
	// keepWritten: an acknowledged extent in a buffer of up to this many bytes stays as a clean span. Small ones are pages
	// of which the kernel may have only a part; large ones it has.
	keepWritten = 32 << 10

	idleTime    = 100 * time.Millisecond // an extent is sent when nothing has been written to the file for so long
	idleLongest = time.Second            // or when it is so old

	retryFirst = 250 * time.Millisecond // the wait before a request that only the line made fail is sent again; it doubles
	retryLast  = 5 * time.Second        // up to this
)

// makeDue: all that is pending is to be sent now.
func (f *File) makeDue() {
	if f.due == len(f.pending.s) {
		return
	}
	for _, e := range f.pending.s {
		e.due = true
	}
	f.due = len(f.pending.s)
}

// push sends what waits for more to merge with.
func (f *File) push() {
	f.mu.Lock()
	f.makeDue()
	f.pump()
	f.mu.Unlock()
}

// oldest is when the oldest unacknowledged byte was written.
func (f *File) oldest() (t time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range [][]*extent{f.pending.s, f.flying.s} {
		for _, e := range l {
			if t.IsZero() || e.born.Before(t) {
				t = e.born
			}
		}
	}
	if t.IsZero() && f.dirty() {
		t = f.lastWrite
	}
	return t
}

// startIdle sees to it that what was written is sent although nothing follows it.
func (f *File) startIdle() {
	if f.idleSet {
		return
	}
	f.idleSet = true
	if f.idle == nil {
		f.idle = time.AfterFunc(f.pool.idleTime, f.idled)
	} else {
		f.idle.Reset(f.pool.idleTime)
	}
}

func (f *File) idled() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.idleSet = false
	if f.due == len(f.pending.s) {
		return
	}
	now := time.Now()
	rest := f.pool.idleTime - now.Sub(f.lastWrite)
	if rest <= 0 {
		f.makeDue()
		f.pump()
		return
	}
	old := false
	for _, e := range f.pending.s {
		if !e.due && now.Sub(e.born) > f.pool.idleLongest {
			e.due = true
			f.due++
			old = true
		}
	}
	if old {
		f.pump()
	}
	f.idleSet = true
	f.idle.Reset(rest)
}

// sendable says whether e, which is pending, may be sent now.
func (f *File) sendable(e *extent) bool {
	if len(f.flying.s) >= maxFlying && f.pool.ctx.Err() == nil {
		return false
	}
	if b := f.barrier(); b != nil && e.epoch.id > b.id && f.pool.ctx.Err() == nil {
		return false
	}
	return !f.flying.overlaps(e.off, e.end)
}

// pump sends what is due and may be sent, and settles the epochs.
func (f *File) pump() {
	for i := 0; i < len(f.pending.s) && f.due > 0 && (len(f.flying.s) < maxFlying || f.pool.ctx.Err() != nil); {
		e := f.pending.s[i]
		if !e.due || !f.sendable(e) {
			i++
			continue
		}
		j := i + 1
		for ; j < len(f.pending.s); j++ {
			n := f.pending.s[j]
			if n.off != f.pending.s[j-1].end || n.end-e.off > int64(e.handle.maxWrite) || !n.due ||
				n.handle != e.handle || n.epoch != e.epoch || f.flying.overlaps(n.off, n.end) {
				break
			}
		}
		f.launch(e, i, j)
	}
	f.settle()
}

// launch sends pending.s[i:j], which follow each other without a gap, as one request. e is the first.
func (f *File) launch(e *extent, i, j int) {
	if j > i+1 {
		e = f.merge(i, j)
	} else {
		f.due--
		e.due = false
		f.pending.remove(i, j)
	}
	f.flying.insert(e)
	f.high = max(f.high, e.end)
	times := f.timesWith(e)
	f.pool.begin()
	go f.send(e, times)
}

// merge takes pending.s[i:j] out as one extent. Copying them is cheap beside a request for each.
func (f *File) merge(i, j int) *extent {
	first, last := f.pending.s[i], f.pending.s[j-1]
	e := &extent{off: first.off, end: last.end, base: first.off, handle: first.handle, epoch: first.epoch, born: first.born,
		buf: f.pool.alloc(int(last.end-first.off), true)}
	e.epoch.left++
	for _, o := range f.pending.s[i:j] {
		copy(e.buf.data[o.off-e.off:], o.data())
		if o.born.Before(e.born) {
			e.born = o.born
		}
		f.dropExtent(o)
	}
	f.pending.remove(i, j)
	return e
}

// timesWith is the epoch whose times go out together with e, because e is the last of its bytes; nil where there is none.
func (f *File) timesWith(e *extent) *epoch {
	b := f.barrier()
	if b == nil || b.sending {
		return nil
	}
	left := 0
	for _, o := range f.epochs {
		left += o.left
		if o == b {
			break
		}
	}
	if left != 1 || e.epoch.id > b.id {
		return nil
	}
	b.sending = true
	return b
}

// send delivers an extent in flight and notes how that went.
func (f *File) send(e *extent, times *epoch) {
	defer f.pool.end()
	var a *sftpconn.Attr
	if times != nil {
		a = times.times
	}
	err, timesErr := f.deliver(e, a)
	if err != nil {
		f.pool.o.Logger.Error("bytes could not be written", "offset", e.off, "bytes", e.end-e.off, "error", err)
		f.pool.o.Lost(f.tag, e.off, e.data(), err)
	}

	f.mu.Lock()
	defer f.mu.Unlock()
	if i := f.flying.index(e.off); i >= 0 {
		f.flying.remove(i, i+1)
	}
	f.pool.dirtyBytes.Add(e.off - e.end)
	if err != nil {
		f.failed(e.handle, err)
	} else {
		f.acknowledged(e)
	}
	if times != nil {
		if err == nil {
			f.timesSet(times, e.handle, timesErr)
		} else {
			times.sending = false // settle sends them alone
		}
	}
	f.leave(e)
	if f.truncating {
		f.wakeLocked()
	}
	f.pump()
	e.buf.unref()
}

// acknowledged: the server has the bytes of e.
func (f *File) acknowledged(e *extent) {
	if e.end > f.remote {
		f.remote = e.end
		f.grown++
	}
	if len(e.buf.data) <= keepWritten && !f.pending.overlaps(e.off, e.end) && !f.clean.overlaps(e.off, e.end) {
		e.buf.ref()
		e.buf.acknowledged()
		s := &span{file: f, off: e.off, end: e.end, buf: e.buf, cost: int64(len(e.buf.data))}
		f.keep(s)
		s.base = e.base
	}
}

// deliver writes e, and sets times after it. It returns when the server has answered for good, however long that takes.
func (f *File) deliver(e *extent, times *sftpconn.Attr) (err, timesErr error) {
	b, data := e.handle.backend, e.data()
	if times == nil {
		return f.insist(e.handle, func(ctx context.Context) error { return b.WriteAt(ctx, data, e.off) }), nil
	}
	both := f.insist(e.handle, func(ctx context.Context) error { return b.WriteSetstat(ctx, data, e.off, *times) })
	if both == nil || errors.Is(both, ErrClosed) || errors.Is(both, sftpconn.ErrStale) {
		return both, nil
	}
	// Which of the two was refused?
	err = f.insist(e.handle, func(ctx context.Context) error { return b.WriteAt(ctx, data, e.off) })
	if err != nil {
		return err, nil
	}
	// The time of this write is now the last, so the other times have to follow once more to know.
	return nil, f.insist(e.handle, func(ctx context.Context) error { return b.Setstat(ctx, *times) })
}

// insist repeats a request for as long as only the line is to blame.
func (f *File) insist(h *Handle, do func(context.Context) error) error {
	wait := f.pool.retry
	for {
		f.mu.Lock()
		stale := h.stale
		f.mu.Unlock()
		if stale != nil {
			return stale
		}
		if f.pool.ctx.Err() != nil {
			return ErrClosed
		}
		err := do(sftpconn.Patient(f.pool.ctx))
		if err == nil {
			return nil
		}
		if f.pool.ctx.Err() != nil {
			return ErrClosed
		}
		if !errors.Is(err, sftpconn.ErrUnreachable) && !errors.Is(err, sftpconn.ErrUncertain) {
			return err
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-f.pool.ctx.Done():
			t.Stop()
		}
		wait = min(2*wait, retryLast)
	}
}

// sendTimes sets times whose bytes are all acknowledged.
func (f *File) sendTimes(e *epoch, h *Handle, a sftpconn.Attr) {
	defer f.pool.end()
	err := f.insist(h, func(ctx context.Context) error { return h.backend.Setstat(ctx, a) })
	f.mu.Lock()
	defer f.mu.Unlock()
	f.timesSet(e, h, err)
	f.pump()
}

// timesSet ends the times of an epoch.
func (f *File) timesSet(e *epoch, h *Handle, err error) {
	e.times, e.sending = nil, false
	if err != nil {
		f.pool.o.Logger.Error("times could not be set", "error", err)
		f.failed(h, err)
	}
}
