package filedata

import (
	"context"
	"sync/atomic"
	"testing"

	"sshmount/sftpconn"
)

// A file that is opened again while nobody knows what has become of its name gives ErrUncertain: nothing speaks against its bytes.
func TestBytesAreSentAgainWhereTheirFateIsUncertain(t *testing.T) {
	s := newServer(nil)
	var l lost
	_, _, h := opened(t, Options{Lost: l.add}, s)
	var tries atomic.Int32
	s.set(func() {
		s.gate = func(_ context.Context, r request) error {
			if r.op == "write" && tries.Add(1) == 1 {
				return sftpconn.ErrUncertain
			}
			return nil
		}
	})
	mustWrite(t, h, []byte("kept"), 0)
	mustFlush(t, h)
	if got := s.content(); string(got) != "kept" || len(l.all()) > 0 {
		t.Fatalf("the server has %q, %d parts were handed over", got, len(l.all()))
	}
}

// fsyncRefuser refuses the fsync that follows the last bytes in their flight, which are on their way until then.
type fsyncRefuser struct {
	*server
	answer func() // lets the bytes arrive
}

func (s fsyncRefuser) FsyncBehind(context.Context, <-chan struct{}, int64) (func() bool, error) {
	s.answer()
	return nil, errRefused
}

// The server may tell of an error once: a second fsync would have none.
func TestAnFsyncTellsWhatTheServerHasSaidToTheOneBehindTheBytes(t *testing.T) {
	s := newServer(nil)
	open, _ := s.hold(ops("write"))
	defer open()
	h := newPool(t, Options{}).NewFile("tag", 0).Open(fsyncRefuser{s, open})
	defer h.Close()
	mustWrite(t, h, []byte("x"), 0)
	if err := h.Sync(soon(t)); err != errRefused {
		t.Fatalf("fsync: %v", err)
	}
}
