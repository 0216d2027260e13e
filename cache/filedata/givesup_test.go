package filedata

import (
	"context"
	"errors"
	"testing"
	"time"
)

// soon ends a call that a test would wait for in vain.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestABarThatIsGivenUpKeepsNobodyOut(t *testing.T) {
	s := newServer(nil)
	_, f, h := opened(t, Options{}, s)
	open, waiting := s.hold(ops("write"))
	defer open()
	mustWrite(t, h, []byte("a"), 0)
	f.Push()
	eventually(t, "the bytes are in flight", func() bool { return waiting() == 1 })
	over, cancel := context.WithCancel(context.Background())
	cancel()
	if err := f.Bar(over); !errors.Is(err, context.Canceled) {
		t.Fatalf("a bar that is given up: %v", err)
	}
	if err := h.Write(soon(t), []byte("b"), 1); err != nil {
		t.Fatalf("a write behind it: %v", err)
	}
	open()
	mustFlush(t, h)
	if got := s.content(); string(got) != "ab" {
		t.Fatalf("the server has %q", got)
	}
}

func TestWhoWaitsBehindAWriteThatIsGivenUpGetsTheRoom(t *testing.T) {
	const piece = 64 << 10
	s := newServer(nil)
	p, _, h := opened(t, Options{WriteBudget: 4 * piece}, s)
	open, waiting := s.hold(ops("write"))
	defer open()
	for i := range 3 {
		mustWrite(t, h, make([]byte, piece), int64(i)*piece)
	}
	eventually(t, "all is in flight", func() bool { return waiting() == 3 })
	large, small := make(chan error, 1), make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { large <- h.Write(ctx, make([]byte, 2*piece), 10*piece) }()
	eventually(t, "the large one waits", func() bool { return p.waiting.Load() == 1 })
	go func() { small <- h.Write(soon(t), make([]byte, piece), 20*piece) }()
	eventually(t, "the small one waits behind it", func() bool { return p.waiting.Load() == 2 })
	cancel()
	if err := <-large; !errors.Is(err, context.Canceled) {
		t.Fatalf("the large one: %v", err)
	}
	if err := <-small; err != nil { // the server has answered nothing
		t.Fatalf("the small one, for which there is room: %v", err)
	}
}
