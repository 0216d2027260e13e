package sftpconn

import (
	"time"

	"sshmount/sftpconn/transport"
)

// bulkUnderWay is how many bytes must be on their way to the server to be part of a WRITE, which the server answers when it has all of
// it: an SSH packet.
const bulkUnderWay = 32 << 10

// silence is what watchAlive knows about when bytes of a link have moved.
type silence struct {
	l           *link
	interval    time.Duration
	outstanding bool
	busySince   time.Time     // zero while nothing is outstanding
	probing     chan struct{} // closed when the probe under way is answered; nil where there is none
	probedAt    time.Time
	hurry       time.Time // when the line came under suspicion, and no byte has refuted that since; zero where it is not
	looked      time.Time // time of the last look, by a clock that stands still while the machine sleeps
	last        time.Time // what LastReceived returned at that look
	heard       time.Time // when the last byte came, by the clock of looked
	moved       time.Time // when bytes of ours last arrived without which the server can't answer; by the same clock
	arrived     uint64    // what Arrived returned at the last look
	due         uint64    // what Arrived must return before the server can be expected to answer the probe
	spoke       bool      // the server has said something since the login
}

// look notes what has come since the last look, whether an answer is outstanding, and whether the line is under suspicion.
func (w *silence) look(now time.Time, suspected bool) {
	if at := w.l.t.LastReceived(); !at.Equal(w.last) {
		// The byte came since the last look, even if the wall clock, by which at is told, was set meanwhile. Where that look is long ago
		// this process has stood still, and bytes that came meanwhile may still have to be read.
		age := min(max(now.Sub(at), 0), now.Sub(w.looked), w.interval, quietLook)
		w.last, w.heard, w.spoke = at, now.Add(-age), true
	}
	w.looked = now
	if w.arrives() {
		w.moved = now
	}
	w.spoke = w.spoke || w.l.soonest() != nil
	if w.probing != nil {
		select {
		case <-w.probing:
			w.probing = nil
		default:
		}
	}
	w.outstanding = w.l.inFlight() > 0 || w.probing != nil
	switch {
	case !w.outstanding:
		w.busySince = time.Time{}
	case w.busySince.IsZero():
		w.busySince = now.Add(-w.l.waited())
	}
	switch {
	case suspected:
		w.hurry = now
	case w.heard.After(w.hurry) || w.moved.After(w.hurry):
		w.hurry = time.Time{}
	}
}

// arrives reports whether bytes of ours have arrived at the server since the last call, and the server still can't be expected to
// answer: on a thin line it has nothing to say until it has a whole WRITE, and a probe waits behind that. Once both have arrived it is
// for the server to answer. That its kernel takes further requests proves nothing then: a kernel also takes them for a server that is
// dead.
func (w *silence) arrives() bool {
	bytes, more := w.sent()
	progress := bytes > w.arrived
	w.arrived = bytes
	return progress && (more >= bulkUnderWay || bytes < w.due)
}

// sent returns how many bytes have arrived and how many are on their way, as far as the transport knows.
func (w *silence) sent() (arrived, more uint64) {
	if s, ok := w.l.t.(transport.Sender); ok {
		return s.Arrived()
	}
	return 0, 0
}

// quiet is how long bytes have been waited for and none has come.
func (w *silence) quiet(now time.Time) time.Duration {
	if w.busySince.After(w.heard) {
		return now.Sub(w.busySince)
	}
	return now.Sub(w.heard)
}

// still is how long nothing has happened that shows the line to be alive.
func (w *silence) still(now time.Time) time.Duration { return min(w.quiet(now), now.Sub(w.moved)) }

// limit is how long a silence ends the link; ends is false where none does. A suspicion that no byte has refuted within an interval
// makes it short.
func (w *silence) limit(now time.Time) (limit time.Duration, ends bool) {
	limit = w.interval * time.Duration(max(w.l.c.o.AliveCountMax, leastAlive))
	waits, slow := w.l.probeWaits()
	waits = waits || !w.spoke
	if waits {
		limit *= busyFactor
	}
	if !waits && !w.hurry.IsZero() && now.Sub(w.hurry) > w.interval {
		limit = min(limit, w.interval)
	}
	return limit, !slow
}

// probeDue reports whether to probe: at once on a suspicion, else when it has been quiet for an interval, or for
// idleProbe where nothing is outstanding.
func (w *silence) probeDue(now time.Time, suspected bool) bool {
	switch {
	case w.probing != nil:
		return false
	case suspected:
		return true
	case now.Sub(w.probedAt) < w.interval:
		return false
	case w.outstanding:
		return w.quiet(now) > w.interval
	}
	return now.Sub(w.heard) > max(idleProbe, w.interval)
}

// probe begins a probe. Its answer is outstanding from then on.
func (w *silence) probe(now time.Time) {
	w.probedAt = now
	arrived, more := w.sent()
	w.due = arrived + more
	if w.busySince.IsZero() {
		w.busySince = now
	}
	done := make(chan struct{})
	w.probing = done
	w.l.c.spawn(func() { w.l.probe(done) })
}
