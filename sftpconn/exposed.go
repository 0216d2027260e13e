package sftpconn

import (
	"fmt"
	"math"

	"sshmount/sftpconn/session"
)

// A server that crashes may lose bytes that it had acknowledged and not stored. They are of those that no fsync has
// followed, and all that can be seen of it is that the file is shorter when it is found again.

// exposed is how far a file was acknowledged since it was stored. Guarded by File.mu.
type exposed struct {
	end  int64  // where the furthest of these bytes ends; 0 where there are none
	acks uint64 // how often something was acknowledged, ever
}

// stored notes that the server has stored what was acknowledged when e.acks was acks: where more was acknowledged since, that may be what
// reaches furthest. With mu held.
func (e *exposed) stored(acks uint64) {
	if e.acks == acks {
		e.end = 0
	}
}

// exposedEnd is where the furthest byte ends that a crash may take.
func (f *File) exposedEnd() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.exposed.end
}

// Shorten notes that this side is about to cut the file to size by its name or through another File: bytes behind that are not lost when
// they are missed later. It is called before the request goes out, because the answer may not come.
func (f *File) Shorten(size uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.exposed.end = min(f.exposed.end, int64(min(size, math.MaxInt64)))
}

// lookForLoss sees whether the file, which was found again with the attributes a, has what was exposed before these were asked
// for. Who has the file open is told once.
func (f *File) lookForLoss(exposed int64, a Attr) {
	f.mu.Lock()
	end := min(exposed, f.exposed.end)
	lost := a.Flags&session.HasSize != 0 && a.Size < uint64(end)
	if lost {
		f.exposed.end = 0
	}
	f.mu.Unlock()
	if !lost || f.r.Follow { // where links are followed nobody knows by what other names it was cut here
		return
	}
	err := fmt.Errorf("%w: %d bytes were acknowledged, and it has %d", ErrLost, end, a.Size)
	f.c.o.Logger.Error("a file is shorter than it was written; the server has crashed, or somebody else has cut it", "path", f.r.Path(),
		"acknowledged", end, "found", a.Size)
	if f.r.Lost != nil {
		f.r.Lost(f.wrap(err, "write"))
	}
}
