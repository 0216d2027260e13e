package sftpconn

import (
	"errors"
	"fmt"
	"time"

	"sshmount/sftpconn/session"
)

// A request at which the server crashes ends the connection each time it is sent again:
// all programs would wait for as long as one of them wants that answer. So it is given up
// when it has ended lossesMost sessions. On a line that is just bad it is another request
// each time that is lost.
const (
	lossesMost = 4
	// lossesFile takes its place for an open file: unsaved bytes may depend on the request, and
	// a bad line that is full of READs and WRITEs may break at the same one several times.
	lossesFile = 8
	// lossAge is the age up to which a request counts as the cause. A server that crashes at one does so at once; a line may break at any
	// time.
	lossAge = 10 * time.Second
	// deadlyFor is how long no WRITE is sent at or behind the offset of one that was given up.
	deadlyFor = time.Minute
)

// losses counts the sessions that ended while the server was working on a certain request.
type losses struct{ n int }

// tooMany counts the loss err, and reports whether the request is to be given up.
func (l *losses) tooMany(err error, most int) bool {
	lost, ok := errors.AsType[*session.LostError](err)
	if !ok || !lost.First || lost.Age > lossAge || isSilence(lost.Err) {
		return false
	}
	if _, broke := errors.AsType[*session.ProtocolError](lost.Err); broke {
		l.n += most / 2 // it was the answer to this request that broke the protocol: not once, but twice is enough
	} else {
		l.n++
	}
	return l.n >= most
}

// giveUpOn logs that a request was lost once too often, and returns its error.
func (c *Conn) giveUpOn(op, path string, lost error) error {
	c.o.Logger.Error("the connection was lost each time the server was asked this; it is not asked again", "request", op, "path", path, "cause", lost)
	// It does not wrap the loss: nobody must take it for one and ask again.
	return fmt.Errorf("%w: %v", ErrEndsSession, lost)
}

// deadly is the offset from which on the WRITEs of a file end their sessions, one after the other: a server that is killed by a limit on
// the size of files (RLIMIT_FSIZE) dies of each WRITE behind that limit. Guarded by File.mu.
type deadly struct {
	off   int64
	until time.Time // zero where there is none
	err   error     // of the one that was given up
}

// giveUp is giveUpOn for a READ or WRITE at off.
func (f *File) giveUp(dir int, off int64, lost error) error {
	if dir == reading {
		return f.c.giveUpOn("read", f.r.Path(), lost)
	}
	err := f.c.giveUpOn("write", f.r.Path(), lost)
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if now.After(f.deadly.until) || off < f.deadly.off {
		f.deadly.off = off
	}
	f.deadly.until, f.deadly.err = now.Add(deadlyFor), err
	return err
}

// hopeless returns the error of a WRITE at off that would only end another session; nil where it may be sent, and for a READ.
func (f *File) hopeless(dir int, off int64) error {
	if dir == reading {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if off < f.deadly.off || time.Now().After(f.deadly.until) {
		return nil
	}
	return f.deadly.err
}
