package filedata

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
)

// TestModelRefused has the server refuse some writes for good: every byte is then on the server or was handed over, and every
// handle that was open hears of it.
func TestModelRefused(t *testing.T) { rapid.Check(t, modelRefused) }

func modelRefused(t *rapid.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	var l lost
	p := NewPool(Options{WriteBudget: int64(rapid.SampledFrom([]int{16 << 10, 1 << 20}).Draw(t, "budget")), Lost: l.add})
	defer p.Close()
	s := newServer(nil)
	s.maxWrite = rapid.SampledFrom([]int{700, 4096, 64 << 10}).Draw(t, "max write")
	var refuse atomic.Int32
	s.gate = func(_ context.Context, r request) error {
		if refuse.Load() > 0 && refuse.Add(-1) >= 0 {
			return errRefused
		}
		return nil
	}
	f := p.NewFile(nil, 0)
	handles := []*Handle{f.Open(s), f.Open(s), f.Open(s)}
	idle := handles[2] // it never writes, and is asked at the end
	defer func() {
		for _, h := range handles {
			h.Close()
		}
	}()
	// written has all that was written at each offset: which of them is the last on the server depends on what was refused.
	written := map[int64]map[byte]bool{}
	var model []byte
	t.Repeat(map[string]func(*rapid.T){
		"write": func(t *rapid.T) {
			h := handles[rapid.IntRange(0, 1).Draw(t, "handle")]
			off := int64(rapid.IntRange(0, 20_000).Draw(t, "offset"))
			b := bytes.Repeat([]byte{byte(rapid.IntRange(1, 255).Draw(t, "fill"))}, rapid.IntRange(1, 9000).Draw(t, "n"))
			err := h.Write(ctx, b, off)
			if errors.Is(err, errRefused) {
				if err := h.Flush(ctx, true); !errors.Is(err, errRefused) {
					t.Fatalf("a write was refused, and the flush says %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if end := int(off) + len(b); end > len(model) {
				model = append(model, make([]byte, end-len(model))...)
			}
			copy(model[off:], b)
			for i := range b {
				at := off + int64(i)
				if written[at] == nil {
					written[at] = map[byte]bool{}
				}
				written[at][b[i]] = true
			}
		},
		"refuse": func(t *rapid.T) { refuse.Store(int32(rapid.IntRange(1, 3).Draw(t, "requests"))) },
		"flush": func(t *rapid.T) {
			if err := handles[0].Flush(ctx, rapid.Bool().Draw(t, "for good")); err != nil && !errors.Is(err, errRefused) {
				t.Fatal(err)
			}
		},
		"times": func(t *rapid.T) { f.SetTimes(sftpconn.Attr{Flags: session.HasTimes, Mtime: 5}) },
	})
	if err := f.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	parts := l.all()
	gone := map[int64]bool{}
	for _, part := range parts {
		for i, b := range part.data {
			at := part.off + int64(i)
			gone[at] = true
			if !written[at][b] {
				t.Fatalf("at %d a byte was handed over that nobody wrote", at)
			}
		}
	}
	got := s.content()
	for i, b := range model {
		if written[int64(i)] != nil && !gone[int64(i)] && (i >= len(got) || got[i] != b) {
			t.Fatalf("the byte at %d is neither on the server nor was it handed over", i)
		}
	}
	if err := idle.Flush(ctx, false); len(parts) > 0 && !errors.Is(err, errRefused) {
		t.Fatalf("bytes were lost, and a handle that was open says %v", err)
	}
	if n, dirty := f.Size(); dirty || n != int64(len(got)) {
		t.Fatalf("size %d, dirty %v; the server has %d", n, dirty, len(got))
	}
	if s.overlap != "" {
		t.Fatalf("in flight together: %s", s.overlap)
	}
}
