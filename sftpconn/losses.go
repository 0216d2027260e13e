package sftpconn

import (
	"errors"
	"fmt"
	"time"

	"sshmount/sftpconn/session"
)

// A request at which the server fails takes the whole mount down each time it is sent
// again: every program would wait for as long as one of them wants that answer. So it is
// given up when it has ended so many sessions. What a line breaks that is bad by itself
// is another request each time.
const (
	lossesMost = 4
	// lossesFile is for an open file: bytes that are not saved yet may hang on it, and a bad
	// line that is kept full by READs and WRITEs breaks at one of few of them.
	lossesFile = 8
	// lossAge is the age up to which a request is taken for the cause. A server that dies of one does so at once; the line
	// may break at any time.
	lossAge = 10 * time.Second
	// deadlyFor is for how long WRITEs behind one that was given up are not sent at all.
	deadlyFor = time.Minute
)

// losses counts the sessions that ended while the server was at one request.
type losses struct{ n int }

// tooMany counts the loss err, and says whether the request is to be given up.
func (l *losses) tooMany(err error, most int) bool {
	lost, ok := errors.AsType[*session.LostError](err)
	if !ok || !lost.First || lost.Age > lossAge || isSilence(lost.Err) {
		return false
	}
	if _, broke := errors.AsType[*session.ProtocolError](lost.Err); broke {
		l.n += most / 2 // its answer can't be read: once may be an accident
	} else {
		l.n++
	}
	return l.n >= most
}

// giveUpOn is the error of a request that was lost once too often.
func (c *Conn) giveUpOn(op, path string, lost error) error {
	c.o.Logger.Error("the connection was lost each time the server was asked this; it is not asked again", "request", op, "path", path, "cause", lost)
	// Not the loss itself: nobody shall take it for one, and ask again.
	return fmt.Errorf("%w: %v", ErrEndsSession, lost)
}

// deadly is from where on the WRITEs of a file were found to end their sessions, one after the other: a server that a limit of the
// size of files kills (RLIMIT_FSIZE) dies of each that is behind it. Guarded by File.mu.
type deadly struct {
	off   int64
	until time.Time // zero where there is none
	err   error     // of the one that was given up
}

// giveUp is giveUpOn of a READ or WRITE at off.
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

// hopeless is the error of a WRITE at off that would only end another session; nil where it may be sent, and for a READ.
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
