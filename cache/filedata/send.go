package filedata

import (
	"bytes"
	"context"
	"time"

	"sshmount/sftpconn"
)

const (
	// maxFlying is how many WRITEs of one file the backend is given at a time, which paces them. So many are enough for any
	// line for which the budget is enough.
	maxFlying = 256
	// keepWritten is the size of the buffer, in bytes, up to which an acknowledged extent stays as a clean span. Of small extents the
	// kernel may have only a part of a page. Large ones it has in its pages, except for the page in which the file ends.
	keepWritten = 32 << 10

	idleTime    = 100 * time.Millisecond // an extent is sent when nothing was written to the file for so long,
	idleLongest = time.Second            // or when it is so old
)

// makeDue makes all that is pending due.
func (f *File) makeDue() {
	if f.due < len(f.pending.s) {
		f.makeDueIn(0, maxOffset)
	}
}

// makeDueIn is makeDue for the extents with bytes of [off, end).
func (f *File) makeDueIn(off, end int64) {
	for i := f.pending.search(off); i < len(f.pending.s) && f.pending.s[i].off < end; i++ {
		if e := f.pending.s[i]; !e.due {
			e.due = true
			f.due++
		}
	}
}

// Push sends what waits for more to merge with.
func (f *File) Push() {
	f.mu.Lock()
	f.makeDue()
	f.pump()
	f.mu.Unlock()
}

// oldest is when the oldest unacknowledged byte was written; zero where there is none.
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

// startIdle starts the timer by which what is pending is sent even if nothing follows it.
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

// idled is called by the timer. It sends what has waited for long enough, and sets the timer again for the rest. It takes mu.
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

// pump sends what is due and may be sent, and ends the epochs that are over.
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
	f.endEpochs()
}

// launch sends pending.s[i:j], which follow each other without a gap, as one request, in a goroutine. e is the first of them.
func (f *File) launch(e *extent, i, j int) {
	if j > i+1 {
		e = f.merge(i, j)
	} else {
		f.due--
		e.due = false
		f.pending.remove(i, j)
	}
	f.flying.insert(e)
	e.handle.asked += e.end - e.off
	f.high = max(f.high, e.end)
	if len(f.pending.s) == 0 {
		f.wakeWaiters() // see allUnderWay
	}
	times := f.timesWith(e)
	e.handle.turn = e.handle.turn.Next()
	f.pool.begin()
	ctx, end := f.flight(e)
	turn := e.handle.turn
	go func() {
		defer end()
		f.send(ctx, e, turn, times)
	}()
}

// merge takes pending.s[i:j] out as one extent. To copy them costs little beside a request for each.
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

// timesWith is the epoch whose times can go out together with e, as e has the last of the bytes before them; nil where there is none.
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

// send delivers a flying extent. It was counted by pool.begin.
func (f *File) send(ctx context.Context, e *extent, turn *sftpconn.Turn, times *epoch) {
	defer f.pool.end()
	var a *sftpconn.Attr
	if times != nil {
		a = times.times
	}
	err, timesErr := f.deliver(ctx, e, turn, a)
	told := err != nil && f.refused(e, err)
	if err != nil && !told {
		f.pool.o.Lost(f.tag, e.off, e.data(), err)
	}
	if timesErr != nil {
		f.timesRefused(*a, timesErr)
	}

	f.landed(e, times, err, timesErr, told)
	f.pool.trim()
}

// landed notes how the delivery of an extent has ended; told is refused's. It takes mu.
func (f *File) landed(e *extent, times *epoch, err, timesErr error, told bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i := f.flying.index(e.off); i >= 0 {
		f.flying.remove(i, i+1)
	}
	f.pool.dirtyBytes.Add(e.off - e.end)
	f.countRefusal(e, err)
	switch {
	case err == nil:
		f.acknowledged(e)
	case told:
		f.report(err, e.handle)
		f.staleFor(e.handle, err)
	default:
		f.failed(e.handle, err)
	}
	if times != nil {
		if err == nil {
			f.timesSet(times, e.handle, timesErr)
		} else {
			times.sending = false // endEpochs sends them alone
		}
	}
	f.leave(e)
	f.pump()
	e.buf.unref()
}

// acknowledged notes that the server has the bytes of e, and keeps those as clean of which the kernel may lack some.
func (f *File) acknowledged(e *extent) {
	f.lastAck = time.Now()
	if e.end > f.remote {
		f.remote = e.end
		f.grown++
	}
	in := e.handle.clean
	if in != f.clean && e.handle.closed {
		return
	}
	switch {
	case f.pending.overlaps(e.off, e.end) || in.overlaps(e.off, e.end): // other spans and extents have the bytes already
	case len(e.buf.data) <= keepWritten:
		e.buf.ref()
		e.buf.acknowledged()
		f.keep(&span{file: f, off: e.off, end: e.end, base: e.base, buf: e.buf, unclaimed: true, written: true,
			cost: int64(len(e.buf.data))}, in)
	case e.end == f.size && e.end%pageSize != 0:
		off := max(e.off, e.end&^(pageSize-1))
		last := bytes.Clone(e.buf.data[off-e.base : e.end-e.base])
		f.keep(&span{file: f, off: off, end: e.end, base: off, buf: f.pool.wrap(last), unclaimed: true, written: true,
			cost: int64(len(last))}, in)
	}
}
