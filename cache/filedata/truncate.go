package filedata

import "context"

// Truncate makes the size n: unacknowledged bytes behind it are dropped, requests on their way there are waited for, and
// send is called (one SETSTAT) while new writes wait. Blocks are cut; where the file grows the server's zeros are read. Times
// that are still to be set are set first. When send fails nothing has changed but that bytes dropped stay dropped.
func (f *File) Truncate(ctx context.Context, n int64, send func(context.Context) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.truncating {
		if err := f.waitEvent(ctx); err != nil {
			return err
		}
	}
	f.truncating = true
	defer func() {
		f.truncating = false
		f.wakeLocked()
	}()
	for f.barrier() != nil {
		if err := f.flushed(ctx); err != nil {
			return err
		}
	}
	f.cutPending(n, maxOffset)
	f.tail = -1
	f.settle()
	for f.flying.overlaps(n, maxOffset) {
		if err := f.waitEvent(ctx); err != nil {
			f.shrink()
			return err
		}
	}
	f.mu.Unlock()
	err := send(ctx)
	f.mu.Lock()
	f.grown++
	if err != nil {
		f.cutClean(min(n, f.remote), maxOffset) // who knows
		f.shrink()
		return err
	}
	f.cutClean(min(n, f.remote), maxOffset)
	f.remote, f.size = n, n
	f.high = min(f.high, n)
	return nil
}

// shrink makes the size again what is on the server and what is to go there.
func (f *File) shrink() {
	f.size = f.remote
	for _, r := range []ranges[*extent]{f.pending, f.flying} {
		if k := len(r.s); k > 0 {
			f.size = max(f.size, r.s[k-1].end)
		}
	}
}
