package filedata

import (
	"context"
	"errors"
	"testing"
	"time"

	"sshmount/sftpconn/session"
)

// A server that takes bytes in order only, and has lost some, may wait for those before it refuses each of those behind.
func TestTheRestIsLostAtOnceWhereTheServerRefusesPieceAfterPieceSlowly(t *testing.T) {
	const pieces, each = 100, 30 * time.Millisecond
	s := newServer(nil)
	var l lost
	p, _, h := opened(t, Options{Lost: l.add}, s)
	p.refusedSlowly = each / 2
	slowIdle(p)
	refusal := &session.StatusError{Code: session.StatusFailure, Msg: "Illegal seek"}
	turn := make(chan struct{}, 1)
	refuses := func(ctx context.Context, r request) error {
		if r.op != "write" {
			return nil
		}
		select {
		case turn <- struct{}{}:
			defer func() { <-turn }()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		select {
		case <-time.After(each):
			return refusal
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	s.set(func() { s.gate = refuses })
	data := random(pieces * s.maxWrite)
	mustWrite(t, h, data, 0)
	begun := time.Now()
	if err := h.Flush(context.Background(), true); !errors.Is(err, refusal) {
		t.Errorf("close: %v", err)
	}
	if took := time.Since(begun); took > pieces*each/2 {
		t.Errorf("the close took %v", took)
	}
	rescued := 0
	for _, part := range l.all() {
		rescued += len(part.data)
		if !errors.Is(part.err, refusal) {
			t.Errorf("at %d they are lost as %v", part.off, part.err)
		}
	}
	if rescued != len(data) {
		t.Errorf("%d bytes of %d are lost", rescued, len(data))
	}
	// What is written later is not lost without the server's word.
	s.set(func() { s.gate = nil })
	mustWrite(t, h, data[:10], 0)
	mustFlush(t, h)
	if got := s.content(); string(got) != string(data[:10]) {
		t.Errorf("the server has %d bytes", len(got))
	}
}
