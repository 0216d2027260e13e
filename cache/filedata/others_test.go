package filedata

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"sshmount/sftpconn/session"
)

// fsyncAlone says of an fsync behind the bytes of its own handle that it has stored all.
type fsyncAlone struct{ *server }

func (s fsyncAlone) FsyncBehind(context.Context, <-chan struct{}, int64) (func() bool, error) {
	return func() bool { return true }, nil
}

// An fsync in the flight of a handle's bytes may come to the server before those of another handle.
func TestAnFsyncComesBehindTheBytesOfEveryHandle(t *testing.T) {
	s := newServer(nil)
	p := newPool(t, Options{})
	slowIdle(p)
	f := p.NewFile("tag", 0)
	h, other := f.Open(fsyncAlone{s}), f.Open(s)
	defer h.Close()
	defer other.Close()
	open, waiting := s.hold(ops("write"))
	defer open()
	mustWrite(t, h, []byte("ours"), 0)
	mustWrite(t, other, []byte("theirs"), 100)
	done := make(chan error, 1)
	go func() { done <- h.Sync(soon(t)) }()
	eventually(t, "both are on their way", func() bool { return waiting() == 2 })
	open()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	r := s.asked()
	if last := r[len(r)-1]; last.op != "fsync" {
		t.Fatalf("requests: %v", r)
	}
}

// A program whose write has told of a refusal has its bytes still. Nobody else has, and a close that succeeds would say that all is there.
func TestARefusalThatAWriteHasToldIsToldToTheOthersAtTheirClose(t *testing.T) {
	s := newServer(nil)
	_, f, h := opened(t, Options{SyncWrites: true}, s)
	other := f.Open(s)
	defer other.Close()
	s.set(func() { s.gate = func(context.Context, request) error { return errRefused } })
	if err := h.Write(context.Background(), []byte("x"), 0); !errors.Is(err, errRefused) {
		t.Fatalf("write: %v", err)
	}
	if err := h.Flush(context.Background(), false); err != nil {
		t.Errorf("close of the handle that has told: %v", err)
	}
	if err := other.Flush(context.Background(), false); !errors.Is(err, errRefused) {
		t.Errorf("close of the other: %v", err)
	}
}

// Refusals with acknowledged pieces between them are of these pieces alone.
func TestRefusalsThatAreNotInARowGiveNothingOver(t *testing.T) {
	s := newServer(nil)
	var l lost
	p, f, h := opened(t, Options{Lost: l.add}, s)
	p.refusedSlowly = 0
	slowIdle(p)
	piece := make([]byte, s.maxWrite)
	refusal := &session.StatusError{Code: session.StatusFailure, Msg: "disk error"}
	last := make(chan struct{})
	var refused atomic.Int32
	s.set(func() {
		s.gate = func(ctx context.Context, r request) error {
			switch n := r.off / int64(len(piece)); {
			case n == 2*refusedMost:
				select {
				case <-last:
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			case n%2 == 0:
				refused.Add(1)
				return refusal
			}
			return nil
		}
	})
	for i := range int64(2*refusedMost - 2) { // each refusal is followed by an acknowledgement
		_ = h.Write(context.Background(), piece, i*int64(len(piece)))
		_ = h.Flush(context.Background(), true)
	}
	mustWrite(t, h, piece, 2*refusedMost*int64(len(piece)))
	mustWrite(t, h, piece, (2*refusedMost-2)*int64(len(piece)))
	eventually(t, "all but the last is answered", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return refused.Load() == refusedMost && len(f.pending.s) == 0 && len(f.flying.s) == 1
	})
	close(last)
	_ = h.Flush(context.Background(), true)
	if n := len(l.all()); n != refusedMost {
		t.Errorf("%d pieces were handed over; %d were refused", n, refusedMost)
	}
}
