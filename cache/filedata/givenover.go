package filedata

import (
	"context"
	"errors"
	"time"

	"sshmount/sftpconn/session"
)

const (
	// refusedSlowly: a server that takes so long to refuse a piece would take minutes for all that waits behind it.
	refusedSlowly = 500 * time.Millisecond
	// refusedMost is how many such refusals in a row are the last.
	refusedMost = 3
)

// givenOver is the end of what waits to be written to a file of which the server has refused one piece after the other, each after a while,
// as one does that takes the bytes of a file in order only and has lost some of them with the connection: it waits for those before it refuses
// what is behind. What was written until then is lost without being sent; what is written later is sent again, as the next refusal is as
// good as those before.
type givenOver struct {
	row    int       // slow refusals since the last acknowledgement
	landed time.Time // when the last answer of any kind came
	until  time.Time // what was written up to then is lost
	why    error     // the last refusal
}

// errGivenOver ends the delivery of a piece that is in flight.
var errGivenOver = errors.New("the server refuses one piece of the file after the other")

// countRefusal notes how the delivery of e has ended. With mu held.
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

// flight is the context of the delivery of an extent. With mu held.
func (f *File) flight(e *extent) (ctx context.Context, end func()) {
	ctx, stop := context.WithCancelCause(f.pool.ctx)
	e.stop, e.sent = stop, time.Now()
	return ctx, func() { stop(nil) }
}
