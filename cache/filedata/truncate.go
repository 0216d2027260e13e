package filedata

import (
	"context"
	"time"
)

// Bar waits until nothing of the file is unacknowledged, and keeps new writes, and who else wants to bar it, waiting until Unbar:
// for a request that changes the content as a whole (a truncation, a copy by the server), and may be done behind what is sent
// after it over another channel. What was written before arrives first, all of it: were bytes dropped for a truncation that the
// server then refuses, they would be lost. When ctx ends before, nothing has changed.
func (f *File) Bar(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.barred {
		if err := f.waitEvent(ctx); err != nil {
			return err
		}
	}
	f.barred = true
	if err := f.drain(ctx); err != nil {
		f.unbar()
		return err
	}
	return nil
}

// Unbar follows each Bar that succeeded, when the server has answered or never will.
func (f *File) Unbar() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unbar()
}

func (f *File) unbar() {
	f.barred = false
	f.wakeWaiters()
}

// Truncated notes that the server has made the size of a barred file n, or that nobody knows if it has. Blocks are cut; where the
// file grows the server's zeros are read.
func (f *File) Truncated(n int64, known bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tail = -1
	f.grown++
	f.cutClean(min(n, f.remote), maxOffset)
	if !known {
		return
	}
	f.remote, f.size = n, n
	f.high = min(f.high, n)
	f.lastAck = time.Now()
}
