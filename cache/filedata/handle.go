package filedata

import (
	"context"
	"sync"

	"sshmount/sftpconn"
)

// Handle is one opening of a file: its pattern of reading, and the write errors it has still to report.
type Handle struct {
	file     *File
	pool     *Pool
	backend  Backend
	maxRead  int // bytes of one request: whole pages where the server takes a page
	maxWrite int

	ctx     context.Context // of requests for reading; ends with Close
	cancel  context.CancelFunc
	fetches sync.WaitGroup // goroutines that use backend for reading

	// Guarded by File.mu.
	closed      bool
	started     bool // something was read
	streams     []*stream
	clean       *blocks        // what it reads; shared with the handles that have the same
	err         error          // the first write error since the opening, or since the last that was reported for good
	untoldError error          // an error of bytes that this handle wrote and that no write has told of; settled with err
	stale       error          // the backend's ErrStale: nothing more can be written through it
	asked       int64          // bytes given to the backend to write
	turn        *sftpconn.Turn // of the last of those; nil before
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

// requestSize is the server's limit in whole pages, so that neither side splits a page, and in one buffer.
func requestSize(limit int) int {
	if limit > pageSize {
		limit -= limit % pageSize
	}
	return max(1, min(limit, slabSize))
}

// Close ends the handle. Bytes it wrote may still be unacknowledged: see Delivered. What it reads ahead is given up, and
// other handles' readers that wait for it ask again themselves.
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
