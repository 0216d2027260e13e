package sftpconn

import (
	"fmt"
	"math"

	"sshmount/sftpconn/session"
)

// A server that crashes may lose bytes that it has acknowledged, if no fsync has followed. All that can be seen of that is that the file is
// shorter when it is found again.

// exposed is how far bytes of a file were acknowledged that no fsync has followed. Guarded by File.mu.
type exposed struct {
	end  int64  // where the furthest of these bytes ends; 0 where there are none
	acks uint64 // number of WRITEs that were acknowledged in all
}

// stored notes that the server has stored everything that was acknowledged when e.acks was acks. Where more was acknowledged since, that
// may be what reaches furthest, so end stays. With mu held.
func (e *exposed) stored(acks uint64) {
	if e.acks == acks {
		e.end = 0
	}
}

// exposedEnd is where the furthest byte ends that a crash of the server may take.
func (f *File) exposedEnd() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.exposed.end
}

// Shorten notes that this side is about to cut the file to size, by its name or through another File: bytes behind that are not lost if
// they are missing later. It is called before the request goes out, because the answer may never come.
func (f *File) Shorten(size uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.exposed.end = min(f.exposed.end, int64(min(size, math.MaxInt64)))
}

// lookForLoss compares the attributes a, with which the file was found again, with what was exposed when they were asked for. If the file
// is shorter it says so once (OpenRequest.Lost).
func (f *File) lookForLoss(exposed int64, a Attr) {
	f.mu.Lock()
	end := min(exposed, f.exposed.end)
	lost := a.Flags&session.HasSize != 0 && a.Size < uint64(end)
	if lost {
		f.exposed.end = 0
	}
	f.mu.Unlock()
	if !lost || f.r.Follow { // where links are followed it may have been cut from here, by a name that is not known to be its own
		return
	}
	err := fmt.Errorf("%w: %d bytes were acknowledged, and it has %d", ErrLost, end, a.Size)
	f.c.o.Logger.Error("a file is shorter than it was written; the server has crashed, or somebody else has cut it", "path", f.r.Path(),
		"acknowledged", end, "found", a.Size)
	if f.r.Lost != nil {
		f.r.Lost(f.wrap(err, "write"))
	}
}
