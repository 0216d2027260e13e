package filedata

import (
	"sync"
	"time"

	"sshmount/sftpconn"
)

// File is the content of one remote file, shared by all its open handles.
type File struct {
	pool *Pool
	tag  any

	mu      sync.Mutex // guards everything below, and the handles', spans' and extents' fields unless they say otherwise
	handles map[*Handle]struct{}

	clean   *blocks
	earlier []*blocks // of handles opened before the file was seen to change; not empty only where there are such
	pending ranges[*extent]
	flying  ranges[*extent]
	due     int      // extents of pending that are to be sent now
	epochs  []*epoch // not empty exactly while the file is dirty

	size   int64 // what programs see while the file is dirty
	remote int64 // the size on the server, as far as we know
	high   int64 // the end of the furthest byte that we ever sent or had copied: the server's file may reach so far, whatever remote says
	// short: the server's file was seen to end before the size that the server tells, as those of sysfs do. Its size and its mtime
	// then say nothing of its content, so nothing is kept of what is read of it.
	short bool
	// grown counts what may have moved the end of the server's file. An end of file that the server saw before the last of
	// those says nothing.
	grown uint64
	// lacking: a clean span was given up, and most likely the kernel has no page of its bytes either, so that the next read of them
	// comes to us. The kernel has pages of what it has read; of what a program wrote and nobody read, only of pages written whole.
	lacking bool
	unpaged bool // the kernel has forgotten the file, and its pages of it; until the next Open

	writer    *Handle // who wrote last, while the file is dirty; times are set through it
	lastWrite time.Time
	lastAck   time.Time   // when the server last acknowledged bytes, a truncation or a copy; zero if never
	tail      int64       // where the last full extent ended: a write here is part of a stream
	idle      *time.Timer // sends what is pending when nothing follows it; nil until it is needed
	idleSet   bool        // and it is running

	over givenOver

	barred    bool          // see Bar
	wake      chan struct{} // closed when epochs shrink, pending gets empty, or the bar goes; nil where nobody waits
	lastEpoch uint64        // the id of the newest epoch
}

// NewFile makes the content of a file of which nothing is here yet. tag comes back in Options.Lost and TimesRefused.
func (p *Pool) NewFile(tag any, remoteSize int64) *File {
	return &File{
		pool:    p,
		tag:     tag,
		handles: make(map[*Handle]struct{}),
		clean:   new(blocks),
		size:    remoteSize,
		remote:  remoteSize,
		tail:    -1,
	}
}

// SetRemoteSize tells what the server said of the file's size. It is what Size answers while nothing is unacknowledged.
// A smaller size drops the blocks behind it. While bytes are unacknowledged a smaller size is not believed: the question may
// be older than their answers. For the same reason a caller must not pass on an answer to a question asked before the last of
// the file's bytes was acknowledged, unless it came to the server behind them (Asking).
func (f *File) SetRemoteSize(n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.short && !f.dirty() {
		f.short = false
		f.cutClean(0, maxOffset) // what is here may be of before the last reads
	}
	switch {
	case n == f.remote:
	case f.dirty():
		if n > f.remote {
			f.remote = n
			f.grown++
		}
	default:
		if n < f.remote {
			f.cutClean(n, maxOffset)
		}
		f.remote, f.size = n, n
		f.high = min(f.high, n)
		f.grown++
	}
}

// Grown tells that bytes came into the server's file by another way than Write: it reaches to end at least, and to furthest at
// the most. Blocks that are here don't know of them: see Drop.
func (f *File) Grown(end, furthest int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lastAck = time.Now()
	f.high = max(f.high, furthest)
	f.remote = max(f.remote, end)
	f.size = max(f.size, end)
	f.grown++
}

// Acknowledged is how long the server's file is at least, unless others have cut it: as it was last told, or with the furthest byte
// that was acknowledged since.
func (f *File) Acknowledged() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.remote
}

// Short says whether the server's file was seen to end before the size that the server tells, and SetRemoteSize has not been called
// since. Size is where it ended, and each Read asks the server.
func (f *File) Short() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.short
}

// Size is the size that programs see: ours where bytes are unacknowledged (dirty), else the server's.
func (f *File) Size() (size int64, dirty bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.size, f.dirty()
}

// LastWrite is when a program last wrote; zero if never.
func (f *File) LastWrite() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lastWrite
}

// LastAck is when the server last acknowledged bytes, a truncation or a copy that was asked for here; zero if never.
func (f *File) LastAck() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lastAck
}

// Unpaged tells that the kernel has forgotten the file, with the pages that it kept of it. The file has no handles then.
func (f *File) Unpaged() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unpaged = true
	for x := int64(0); x < f.size; {
		s, ok, _ := f.clean.at(x)
		if !ok {
			f.lacking = true
			return
		}
		x = s.end
	}
}

// Lacking says whether reading the file would most likely have to ask the server, though its content was here: bytes were given up
// that the kernel has no pages of (see the field).
func (f *File) Lacking() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lacking
}

// Drop forgets clean blocks: the file has changed on the server, or nobody wants them. Bytes on their way in for an
// earlier Read are not kept either. Unacknowledged bytes stay.
func (f *File) Drop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cutClean(0, maxOffset)
}

// Preload makes data, read ahead by somebody else, the beginning of a clean file of size bytes, of which nothing else is known
// then. data belongs to the file from then on. On a file with unacknowledged bytes it does nothing.
func (f *File) Preload(data []byte, size int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dirty() {
		return
	}
	f.cutClean(0, maxOffset)
	n := int64(len(data))
	f.remote, f.size = size, size
	f.high = min(f.high, size)
	f.grown++
	f.lacking = f.lacking && n < size
	if n == 0 {
		return
	}
	f.keep(&span{file: f, off: 0, end: n, base: 0, buf: f.pool.wrap(data), cost: n}, f.clean)
}

// Release gives the file's memory back. The file has no handles and nothing unacknowledged then.
func (f *File) Release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cutClean(0, maxOffset)
	if f.idle != nil {
		f.idle.Stop()
	}
}

// dirty says whether anything is unacknowledged, bytes or times.
func (f *File) dirty() bool { return len(f.epochs) > 0 }

// nextEvent is a channel that is closed at the next event that a waiter may want (see File.wake).
func (f *File) nextEvent() <-chan struct{} {
	if f.wake == nil {
		f.wake = make(chan struct{})
	}
	return f.wake
}

func (f *File) wakeWaiters() {
	if f.wake != nil {
		close(f.wake)
		f.wake = nil
	}
}

// SetTimes sends times after the bytes that are unacknowledged now, in the same flight as the last of them where that can be.
// False: nothing is unacknowledged, nothing was done, send them yourself. Bytes that are written later go out after them and change
// the mtime again, as they would without this package. a has HasTimes.
func (f *File) SetTimes(a sftpconn.Attr) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.dirty() {
		return false
	}
	e := f.epochs[len(f.epochs)-1]
	if e.sending {
		e = f.addEpoch()
	}
	e.sealed = true
	e.times = &a
	return true
}
