package sftpconn

import (
	"time"

	"sshmount/sftpconn/transport"
)

// bulkUnderWay is so much on its way to the server, in bytes, that it is part of a WRITE that the server waits for: an SSH packet.
const bulkUnderWay = 32 << 10

// silence is what watchAlive knows of the bytes of a link and their absence.
type silence struct {
	l           *link
	interval    time.Duration
	outstanding bool
	busySince   time.Time     // zero while nothing is outstanding
	probing     chan struct{} // closed when the probe under way is answered; nil where there is none
	probedAt    time.Time
	hurry       time.Time // of a suspicion that no byte has refuted; zero where there is none
	looked      time.Time // when it was last looked for bytes; by a clock that stands still while the machine sleeps
	last        time.Time // what LastReceived said
	heard       time.Time // when that was, by the clock of looked
	moved       time.Time // when bytes of ours arrived before which the server can't be expected to answer; by the same clock
	arrived     uint64    // what Arrived said
	due         uint64    // what it must say until the server can be expected to answer the probe
	spoke       bool      // the server has said something behind the login
}

// look takes in what has come since the last time, whether an answer is outstanding, and whether the line is suspected.
func (w *silence) look(now time.Time, suspected bool) {
	if at := w.l.t.LastReceived(); !at.Equal(w.last) {
		// It was since the last look, whatever has become of the clock that told the time. Where that is long ago this process has stood
		// still, and what came meanwhile may wait to be read.
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

// arrives says whether bytes of ours have arrived over there since it was last asked, and the server still can't be expected to answer:
// on a thin line it has nothing to say until a WRITE is there as a whole, and a probe waits behind that. Where both are there it is
// only for the server to answer, and its kernel's having taken further questions does not count, as it takes them also of a server that
// is dead.
func (w *silence) arrives() bool {
	bytes, more := w.sent()
	progress := bytes > w.arrived
	w.arrived = bytes
	return progress && (more >= bulkUnderWay || bytes < w.due)
}

// sent is what the transport says of that; nothing where it is not told.
func (w *silence) sent() (arrived, more uint64) {
	if s, ok := w.l.t.(transport.Sender); ok {
		return s.Arrived()
	}
	return 0, 0
}

// quiet is how long no byte has come that was waited for.
func (w *silence) quiet(now time.Time) time.Duration {
	if w.busySince.After(w.heard) {
		return now.Sub(w.busySince)
	}
	return now.Sub(w.heard)
}

// still is how long nothing has happened that shows the line to be alive.
func (w *silence) still(now time.Time) time.Duration { return min(w.quiet(now), now.Sub(w.moved)) }

// limit is how much silence ends the link; ends is false where none does. A suspicion that no byte refutes within
// an interval makes it short.
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

// probeDue says whether a sign of life is to be asked for: at once on a suspicion, else when it has been quiet
// for an interval, or for idleProbe where nothing is outstanding.
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

// probe begins a probe, which is outstanding from then on.
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
