package sftpconn

import (
	"context"
	"time"

	"sshmount/sftpconn/transport"
)

// leavePatience is how long the answers may take that nobody waits for any more (those to a CLOSE) before a connection is closed
// without them.
const leavePatience = 200 * time.Millisecond

// leave announces the end of the link to the server, so that it sees no lost line in it. Where a request is unanswered it does not: that
// one must not reach the server any more. A channel that is just being opened carries no request yet.
func (l *link) leave() {
	t, ok := l.t.(transport.Leaver)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(l.ctx, leavePatience)
	defer cancel()
	for _, ch := range l.channels() {
		if ch.s.Drain(ctx) != nil {
			return
		}
	}
	t.Leave()
}
