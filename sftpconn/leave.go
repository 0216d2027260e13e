package sftpconn

import (
	"time"

	"sshmount/sftpconn/transport"
)

// leavePatience is how long the last answers may take that nobody waits for (those to a CLOSE) before a connection is closed.
const leavePatience = 200 * time.Millisecond

// leave tells the server of the end of a link with nothing in flight. Where something is, it must not get there any more.
func (l *link) leave() {
	t, ok := l.t.(transport.Leaver)
	if !ok {
		return
	}
	for until := time.Now().Add(leavePatience); l.inFlight() > 0; {
		select {
		case <-l.done:
			return
		case <-time.After(time.Millisecond):
		}
		if time.Now().After(until) {
			return
		}
	}
	t.Leave()
}
