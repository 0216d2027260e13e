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

	mu      sync.Mutex // guards all below, and the fields of handles, spans, extents and epochs unless they say otherwise
	handles map[*Handle]struct{}

	clean   *blocks   // what is read through handles that are opened now
	earlier []*blocks // those of handles that were open when the file was seen to change (Changed)
	pending ranges[*extent]
	flying  ranges[*extent]
	due     int      // extents of pending that are to be sent now
	epochs  []*epoch // not empty exactly while the file is dirty

	size   int64 // what programs see
	remote int64 // the size on the server, as far as it is known
	high   int64 // the end of the furthest byte that was ever sent or copied: the server's file may reach so far, whatever remote says
	// short: the server's file was seen to end before the size that the server tells, as those of sysfs do. Its size and its mtime
	// then say nothing of its content, so nothing is kept of what is read of it.
	short bool
	// grown counts the events that may have moved the end of the server's file. An end of file that the server saw before the last
	// of them says nothing.
	grown uint64
	// lacking: a clean span was given up of which the kernel most likely has no pages either, so that the next read of it comes here.
	// The kernel has pages of what it has read here. Of what a program wrote it has only those pages that were written whole.
	lacking bool
	unpaged bool // the kernel has forgotten the file, and its pages with it; until the next Open

	writer    *Handle // who wrote last, while the file is dirty; times are set through it
	lastWrite time.Time
	lastAck   time.Time   // when the server last acknowledged bytes, a truncation or a copy; zero if never
	tail      int64       // where the last full extent ended: a write that begins here is part of a stream; -1 where there was none
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

// SetRemoteSize takes the size that the server tells of the file. It is what Size answers while nothing is unacknowledged.
// Blocks behind a smaller size are dropped. While bytes are unacknowledged a smaller size is not believed, as the question may
// be older than they are. For the same reason a caller must not pass on the answer to a question that was asked before the last of
// the file's bytes was acknowledged, unless it came to the server behind them (Asking).
func (f *File) SetRemoteSize(n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.short && !f.dirty() {
		f.short = false
		f.cutClean(0, maxOffset) // what is here may be older than what was last read from the server
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

// Grown notes that bytes came into the server's file otherwise than by Write, as by a copy on the server. The file is end bytes long at
// least, and furthest at most. Blocks that are here may be of before: see Drop.
func (f *File) Grown(end, furthest int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lastAck = time.Now()
	f.high = max(f.high, furthest)
	f.remote = max(f.remote, end)
	f.size = max(f.size, end)
	f.grown++
}

// Acknowledged is how long the server's file is at least, in bytes, unless others have cut it: as the server last told, or as far as the
// bytes reach that it has acknowledged since.
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

// Size is the size that programs see, in bytes: the server's, or ours where anything is unacknowledged (dirty).
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

// Unpaged notes that the kernel has forgotten the file, and with it the pages that it had of it. The file has no handles then.
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

// Lacking says whether reading the file would most likely have to ask the server: bytes that were here have been given up, and the kernel
// has no pages of them.
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

// Preload makes data, which somebody else has read, the beginning of the file, of size bytes in all. Whatever else was known of it is
// forgotten. data belongs to the file from then on. It does nothing while anything is unacknowledged.
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

// nextEvent is a channel that is closed by the next wakeWaiters.
func (f *File) nextEvent() <-chan struct{} {
	if f.wake == nil {
		f.wake = make(chan struct{})
	}
	return f.wake
}

// wakeWaiters has all who wait look again (see File.wake).
func (f *File) wakeWaiters() {
	if f.wake != nil {
		close(f.wake)
		f.wake = nil
	}
}

// SetTimes has the times in a set after the bytes that are unacknowledged now, in the flight of the last of them where that can be.
// Where nothing is unacknowledged it does nothing and returns false: the caller sends them. Bytes that are written later go out after the
// times, and change the mtime again as they would on a local disk. a has the flag HasTimes.
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
