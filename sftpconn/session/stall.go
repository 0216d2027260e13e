package session

import "time"

// Stall tells of the oldest request that was sent and is not answered, behind which a
// server that answers in order lets all others wait. It is zero where there is none.
type Stall struct {
	Age     time.Duration // since it was sent
	Behind  time.Duration // since the next was sent for whose answer somebody waits; 0 where there is none
	Opening bool          // it is an OPEN or OPENDIR
	GivenUp bool          // nobody waits for it (Call.Abandon)
}

// Stall looks what the server is at.
func (s *Session) Stall() Stall {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.first()
	if first == nil {
		return Stall{}
	}
	var next *Call
	for _, c := range s.pending {
		if c != first && c.sent && !c.givenUp && (next == nil || c.before(next)) {
			next = c
		}
	}
	stall := Stall{Age: time.Since(first.sentAt), Opening: first.want == answerHandle, GivenUp: first.givenUp}
	if next != nil {
		stall.Behind = time.Since(next.sentAt)
	}
	return stall
}
