package main

import (
	"time"

	"sshmount/cmd/sshmount/control"
)

// umountWish is somebody's wish to end the mount.
type umountWish struct {
	lazy    bool                 // detach it where it is in use
	force   bool                 // and close it too: a signal
	timeout time.Duration        // how long unsaved data is waited for; 0 is the mount's own
	until   time.Time            // when timeout is over; set only for a wish with a timeout that came while another was being fulfilled
	answer  chan control.Outcome // room for one; nil where nobody waits
}

// reply answers the first time and does nothing after that.
func (w umountWish) reply(o control.Outcome) {
	select {
	case w.answer <- o:
	default:
	}
}

// replyToLater answers the wishes that came while another was being fulfilled.
func (m *mount) replyToLater(o control.Outcome) {
	for _, w := range m.later {
		w.reply(o)
	}
	m.later = nil
}

// timeoutFor is how long unsaved data is waited for at a wish: its own timeout, or the mount's drain_timeout.
func (m *mount) timeoutFor(w umountWish) time.Duration {
	if w.timeout == 0 {
		return m.set.DrainTimeout
	}
	return w.timeout
}
