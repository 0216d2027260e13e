package filedata

import (
	"context"
	"time"
)

// Truncate makes the size n. What was written before it arrives first, all of it: were bytes dropped for a truncation that the
// server then refuses, they would be lost. New writes wait from the beginning to the end, so that none comes between. send is
// called (one SETSTAT) when nothing is unacknowledged. Blocks are cut; where the file grows the server's zeros are read. When
// send fails, or ctx ends before it is called, nothing has changed.
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
	if err := f.drain(ctx); err != nil {
		return err
	}
	f.tail = -1
	f.mu.Unlock()
	err := send(ctx)
	f.mu.Lock()
	f.grown++
	f.cutClean(min(n, f.remote), maxOffset) // of one that failed who knows what was done
	if err != nil {
		return err
	}
	f.remote, f.size = n, n
	f.high = min(f.high, n)
	f.lastAck = time.Now()
	return nil
}
