package filedata

import (
	"context"
	"errors"
	"time"

	"sshmount/sftpconn/session"
)

const (
	// refusedSlowly is how long a refusal must take to count: one after the other, such refusals of all that waits would take minutes.
	refusedSlowly = 500 * time.Millisecond
	// refusedMost is how many such refusals in a row end the sending of what waits.
	refusedMost = 3
)

// givenOver ends the writing of a file of which the server refuses one piece after the other, each after a while. Some servers take the
// bytes of a file in order only: where one has lost bytes with the connection, it waits for them before it refuses what comes behind.
// What was written until then is lost without being sent. What is written later is sent again, and may be refused again.
type givenOver struct {
	row    int       // slow refusals since the last acknowledgement
	landed time.Time // when the last request of a write ended, in whatever way
	until  time.Time // what was written up to then is lost
	why    error     // the refusal that was one too many
}

// errGivenOver ends the delivery of a piece that is in flight.
var errGivenOver = errors.New("the server refuses one piece of the file after the other")

// countRefusal notes how the delivery of e has ended.
func (f *File) countRefusal(e *extent, err error) {
	g := &f.over
	now := time.Now()
	since := g.landed
	if e.sent.After(since) {
		since = e.sent
	}
	g.landed = now
	_, refused := errors.AsType[*session.StatusError](err)
	switch {
	case err == nil:
		g.row = 0
	case !refused, !e.born.After(g.until), now.Sub(since) < f.pool.refusedSlowly:
	default:
		g.row++
		if g.row < refusedMost {
			return
		}
		g.until, g.why = now, err
		for _, o := range f.flying.s {
			o.stop(errGivenOver)
		}
		f.makeDue()
	}
}

// lostBefore gives the error of an extent that need not be sent; nil for one that is to be.
func (f *File) lostBefore(e *extent) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e.born.After(f.over.until) {
		return nil
	}
	return f.over.why
}

// flight makes the context of the delivery of an extent; end must be called when it is over.
func (f *File) flight(e *extent) (ctx context.Context, end func()) {
	ctx, stop := context.WithCancelCause(f.pool.ctx)
	e.stop, e.sent = stop, time.Now()
	return ctx, func() { stop(nil) }
}
