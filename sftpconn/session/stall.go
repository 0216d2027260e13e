package session

import (
	"context"
	"time"
)

// Stall describes the oldest request that was sent and is not answered: a server that
// answers in order lets all others wait behind it. It is zero where there is none.
type Stall struct {
	Age     time.Duration // since it was sent
	Behind  time.Duration // since the next was sent for whose answer somebody waits; 0 where there is none
	Opening bool          // it is an OPEN or OPENDIR
	GivenUp bool          // nobody waits for it (Call.Abandon)
}

// Stall says which request the server is working on.
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

// Drain waits until no request is in flight. Where ctx ends first it returns the cause of that.
func (s *Session) Drain(ctx context.Context) error {
	for {
		c := s.anyInFlight()
		if c == nil {
			return nil
		}
		select {
		case <-c.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// anyInFlight gives some request that is not answered; nil where there is none.
func (s *Session) anyInFlight() *Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.answering != nil {
		return s.answering
	}
	for _, c := range s.pending {
		return c
	}
	return nil
}
