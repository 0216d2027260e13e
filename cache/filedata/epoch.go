package filedata

import (
	"context"
	"slices"

	"sshmount/sftpconn"
)

// epoch is a run of a file's writes. An event that concerns all that was written before it ends one: a flush, which waits
// for those bytes, or times, which have to reach the server after them and before anything later. Guarded by File.mu.
type epoch struct {
	id      uint64
	left    int            // extents that are not acknowledged
	sealed  bool           // later writes belong to a later epoch, unless they replace bytes of this one that were not sent yet (waitedFor)
	times   *sftpconn.Attr // to be set when left is 0; nil where none are
	sending bool           // times are in flight
	waited  int            // flushes that wait for it and for those before

	// With SyncWrites.
	heard   int   // writers that wait for the answers to its bytes: their programs are told of err
	unheard bool  // some of its bytes are of a mapping: no program waits for those
	err     error // the first refusal of its bytes
}

// addEpoch begins a new epoch, to which the next writes belong. With the first the file is dirty.
func (f *File) addEpoch() *epoch {
	if len(f.epochs) == 0 {
		f.pool.setDirty(f, true)
	}
	f.lastEpoch++
	e := &epoch{id: f.lastEpoch}
	f.epochs = append(f.epochs, e)
	return e
}

// leave takes an extent out of its epoch; endEpochs must follow.
func (f *File) leave(e *extent) { e.epoch.left-- }

// barrier is the first epoch behind which times are to be set: nothing of a later one may be sent before. nil where there is none.
func (f *File) barrier() *epoch {
	for _, e := range f.epochs {
		if e.times != nil {
			return e
		}
	}
	return nil
}

// timesSince says whether times are to be set behind an epoch: what is written now must come after them.
func (f *File) timesSince(e *epoch) bool {
	for _, o := range f.epochs {
		if o.id >= e.id && o.times != nil {
			return true
		}
	}
	return false
}

// keepsOut says whether what is pending of [off, end) must be sent before it may be replaced. So it is where a flush waits for it and times
// are to be set behind it: what replaces it comes after the times, and the flush would end with neither version stored.
func (f *File) keepsOut(off, end int64) bool {
	if f.barrier() == nil {
		return false
	}
	for i := f.pending.search(off); i < len(f.pending.s) && f.pending.s[i].off < end; i++ {
		e := f.pending.s[i].epoch
		if f.timesSince(e) && slices.ContainsFunc(f.epochs, func(o *epoch) bool { return o.id >= e.id && o.waited > 0 }) {
			return true
		}
	}
	return false
}

// endEpochs ends the epochs that are over, and sends times whose turn it is.
func (f *File) endEpochs() {
	n := 0
	for n < len(f.epochs) && f.epochs[n].left == 0 {
		e := f.epochs[n]
		if e.times != nil {
			if !e.sending {
				e.sending = true
				f.pool.begin()
				go f.sendTimes(e, f.writer, *e.times)
			}
			break
		}
		n++
	}
	if n == 0 {
		return
	}
	f.epochs = append(f.epochs[:0], f.epochs[n:]...)
	if len(f.epochs) == 0 {
		f.epochs = nil
		f.size = f.remote
		f.writer = nil
		f.pool.setDirty(f, false)
	}
	f.wakeWaiters()
}

// sendTimes sets the times of an epoch whose bytes are all acknowledged. It was counted by pool.begin.
func (f *File) sendTimes(e *epoch, h *Handle, a sftpconn.Attr) {
	defer f.pool.end()
	err := f.insist(f.pool.ctx, h, func(ctx context.Context) error { return h.backend.Setstat(ctx, a) })
	if err != nil {
		f.timesRefused(a, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.timesSet(e, h, err)
	f.pump()
}

// timesRefused reports that times can't be set.
func (f *File) timesRefused(a sftpconn.Attr, err error) {
	f.pool.o.Logger.Error("times could not be set", "error", err)
	f.pool.o.TimesRefused(f.tag, a, err)
}

// timesSet notes that the times of an epoch are set, or failed with err.
func (f *File) timesSet(e *epoch, h *Handle, err error) {
	e.times, e.sending = nil, false
	if err != nil {
		f.report(err, nil)
		f.staleFor(h, err)
	}
}
