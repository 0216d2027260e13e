package filedata

import (
	"context"
	"sync"

	"sshmount/sftpconn"
)

// Handle is an open file: how it is read, and which errors of writing are still to be reported through it.
type Handle struct {
	file     *File
	pool     *Pool
	backend  Backend
	maxRead  int // bytes of one READ: whole pages, unless the server takes less than one
	maxWrite int // the same of one WRITE

	ctx     context.Context // of requests for reading; ends with Close
	cancel  context.CancelFunc
	fetches sync.WaitGroup // goroutines that use backend for reading

	// Guarded by File.mu.
	closed      bool
	started     bool // something was read
	streams     []*stream
	clean       *blocks        // what is read through it: File.clean, or one of File.earlier
	err         error          // what Flush reports: the first write error of the file since the opening, or since the last report for good
	untoldError error          // what the next Write reports: an error of bytes that this handle wrote; a report for good settles it, too
	stale       error          // the backend's ErrStale: nothing more can be written through it
	asked       int64          // bytes that the backend was ever given to write
	turn        *sftpconn.Turn // that of the last WRITE; nil before the first
}

// Open makes a handle that reads and writes through b, which must stay open until Close and Delivered have returned.
func (f *File) Open(b Backend) *Handle {
	h := &Handle{
		file:     f,
		pool:     f.pool,
		backend:  b,
		maxRead:  requestSize(b.MaxRead()),
		maxWrite: requestSize(b.MaxWrite()),
	}
	h.ctx, h.cancel = context.WithCancel(f.pool.ctx)
	f.mu.Lock()
	h.clean = f.clean
	f.handles[h] = struct{}{}
	f.unpaged = false
	f.mu.Unlock()
	return h
}

// requestSize is the server's limit for a request, in bytes, rounded down to whole pages so that neither side splits one, and to what one
// buffer holds.
func requestSize(limit int) int {
	if limit > pageSize {
		limit -= limit % pageSize
	}
	return max(1, min(limit, slabSize))
}

// Close ends the handle. Bytes that were written through it may still be unacknowledged: see Delivered. What is being read ahead
// through it is given up; readers of other handles that wait for it ask again themselves.
func (h *Handle) Close() {
	f := h.file
	f.mu.Lock()
	if h.closed {
		f.mu.Unlock()
		return
	}
	h.closed = true
	delete(f.handles, h)
	for _, s := range h.streams {
		h.pool.idleStream(s)
	}
	h.streams = nil
	f.noReader(h)
	f.mu.Unlock()
	h.cancel()
	h.fetches.Wait()
}
