package filedata

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sshmount/sftpconn"
)

// Pool is the budgets, and the goroutines, of all files of a mount.
type Pool struct {
	o Options

	ctx    context.Context // ends when the pool closes
	cancel context.CancelFunc

	// The constants of these names; tests have others.
	retry                 time.Duration // retryFirst
	refusedSlowly         time.Duration
	age                   time.Duration // cleanAge
	period                time.Duration // janitorPeriod
	idleTime, idleLongest time.Duration

	dirtyBytes atomic.Int64 // unacknowledged bytes
	waiting    atomic.Int32 // writers that wait for the budget
	rtt        latency

	mu       sync.Mutex // guards everything below, and buffer.dirty, the links of spans, slabs; after File.mu
	closed   bool
	running  int           // goroutines that read and write in the background
	ended    chan struct{} // closed when running becomes 0 after Close; nil before
	slabs    slabs
	clean    int64 // bytes of buffers that count as clean
	dirty    int64 // bytes of buffers that count as dirty
	reserved int64 // bytes that writers may put in buffers now
	writers  []*budgetWaiter
	// The clean spans, each list least recently used first, in the order in which they are given up.
	consumed  spanList           // those that were read to their end
	unclaimed spanList           // those that no reader is known to come for
	unread    spanList           // those that were read for a handle which is open, and have bytes nobody read yet
	files     map[*File]struct{} // files with anything unacknowledged
	streams   map[*stream]struct{}
	janitor   *time.Timer // nil while there is nothing to look after
}

// NewPool makes a pool. It has no goroutines until there is work.
func NewPool(o Options) *Pool {
	if o.ReadBudget <= 0 {
		o.ReadBudget = defaultBudget
	}
	if o.WriteBudget <= 0 {
		o.WriteBudget = defaultBudget
	}
	if o.Lost == nil {
		o.Lost = func(any, int64, []byte, error) {}
	}
	if o.Refused == nil {
		o.Refused = func(any) {}
	}
	if o.TimesRefused == nil {
		o.TimesRefused = func(any, sftpconn.Attr, error) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	p := &Pool{
		o:     o,
		retry: retryFirst, refusedSlowly: refusedSlowly,
		age:         cleanAge,
		period:      janitorPeriod,
		idleTime:    idleTime,
		idleLongest: idleLongest,
		files:       make(map[*File]struct{}),
		streams:     make(map[*stream]struct{}),
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	for range keptArenas {
		p.slabs.arenas.add(newArena()) // now: a first small read must not wait for a huge page to be zeroed (6 ms measured)
	}
	return p
}

// Close ends all background work without waiting for the server. Unacknowledged bytes go to Options.Lost with ErrClosed.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cancel()
	p.push() // waits for a write that is just making its file dirty
	p.mu.Lock()
	if p.ended == nil {
		p.ended = make(chan struct{})
		if p.running == 0 {
			close(p.ended)
		}
	}
	ended := p.ended
	p.mu.Unlock()
	<-ended
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.janitor != nil {
		p.janitor.Stop()
		p.janitor = nil
	}
	p.slabs.arenas.release()
}

// Stats of the pool, in bytes and files.
type Stats struct {
	Clean, Dirty int64
	DirtyFiles   int
	OldestDirty  time.Time // zero where nothing is unacknowledged
}

// Stats of this moment. Clean counts memory, Dirty counts bytes of programs.
func (p *Pool) Stats() Stats {
	files := p.dirtyFiles()
	s := Stats{Dirty: p.dirtyBytes.Load(), DirtyFiles: len(files)}
	p.mu.Lock()
	s.Clean = p.clean
	p.mu.Unlock()
	for _, f := range files {
		if t := f.oldest(); !t.IsZero() && (s.OldestDirty.IsZero() || t.Before(s.OldestDirty)) {
			s.OldestDirty = t
		}
	}
	return s
}

// Flushed waits until all that was written to any file before the call is acknowledged or lost.
func (p *Pool) Flushed(ctx context.Context) error {
	files := p.dirtyFiles()
	for _, f := range files {
		f.Push()
	}
	for _, f := range files {
		if err := f.Flushed(ctx); err != nil {
			return err
		}
	}
	return nil
}

// begin and end count a goroutine.
func (p *Pool) begin() {
	p.mu.Lock()
	p.running++
	p.mu.Unlock()
}

func (p *Pool) end() {
	p.mu.Lock()
	p.running--
	if p.running == 0 && p.ended != nil {
		select {
		case <-p.ended:
		default:
			close(p.ended)
		}
	}
	p.mu.Unlock()
}

// push sends all that waits for more to merge with.
func (p *Pool) push() {
	for _, f := range p.dirtyFiles() {
		f.Push()
	}
}

// dirtyFiles are the files with anything unacknowledged.
func (p *Pool) dirtyFiles() []*File {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.files))
}

// accept enters f, which a write is about to make dirty. False: the pool has closed. So Close knows of every write that succeeds.
func (p *Pool) accept(f *File) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.files[f] = struct{}{}
	return true
}

// setDirty keeps the list of files with anything unacknowledged.
func (p *Pool) setDirty(f *File, dirty bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if dirty {
		p.files[f] = struct{}{}
		return
	}
	delete(p.files, f)
}
