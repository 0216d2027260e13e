package filedata

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

func TestWritesAreMerged(t *testing.T) {
	s := newServer(nil)
	p, _, h := opened(t, Options{}, s)
	slowIdle(p)
	data := random(256 << 10)
	// Neighbours come from both sides, and in pieces.
	for i := range 64 {
		off := (i*13%64)*4096 + 0
		mustWrite(t, h, data[off:off+4096], int64(off))
	}
	mustFlush(t, h)
	if r := s.asked(); len(r) > 8 {
		t.Fatalf("64 writes became %d requests: %v", len(r), r)
	}
	if !bytes.Equal(s.content(), data) {
		t.Fatal("wrong bytes")
	}
}

func TestFullPiecesAreSentAtOnce(t *testing.T) {
	s := newServer(nil)
	p, _, h := opened(t, Options{}, s)
	slowIdle(p)
	for off := int64(0); off < 200_000; off += 4000 {
		mustWrite(t, h, make([]byte, 4000), off)
	}
	eventually(t, "three full pieces arrive", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.requests) == 3 && len(s.data) == 3*64<<10
	})
}

func TestIdleExtentIsSent(t *testing.T) {
	s := newServer(nil)
	p, f, h := opened(t, Options{}, s)
	p.idleTime = 5 * time.Millisecond
	mustWrite(t, h, []byte("abc"), 0)
	eventually(t, "it is acknowledged", func() bool { _, dirty := f.Size(); return !dirty })
	if string(s.content()) != "abc" || f.LastWrite().IsZero() {
		t.Fatal("wrong bytes")
	}
}

func TestOldExtentIsSentThoughWritesGoOn(t *testing.T) {
	s := newServer(nil)
	p, _, h := opened(t, Options{}, s)
	p.idleTime, p.idleLongest = 20*time.Millisecond, 40*time.Millisecond
	eventually(t, "something arrives", func() bool {
		mustWrite(t, h, []byte("x"), 0)
		return len(s.content()) > 0
	})
}

func TestWriteOverBytesInFlightWaits(t *testing.T) {
	s := newServer(nil)
	p, f, h := opened(t, Options{}, s)
	slowIdle(p)
	open, waiting := s.hold(ops("write"))
	mustWrite(t, h, bytes.Repeat([]byte("a"), 64<<10), 0)
	eventually(t, "the first is in flight", func() bool { return waiting() == 1 })
	mustWrite(t, h, bytes.Repeat([]byte("b"), 10), 100)
	mustWrite(t, h, bytes.Repeat([]byte("c"), 64<<10), 64<<10)
	eventually(t, "what does not overlap is in flight too", func() bool { return waiting() == 2 })
	if got := mustRead(t, h, 99, 12); string(got) != "abbbbbbbbbba" {
		t.Fatalf("read %q", got)
	}
	flushed := make(chan error)
	go func() { flushed <- h.Flush(context.Background(), false) }()
	eventually(t, "what overlaps is to be sent, and waits", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.due == 1 && len(f.flying.s) == 2
	})
	open()
	if err := <-flushed; err != nil {
		t.Fatal(err)
	}
	if got := s.content()[99:111]; string(got) != "abbbbbbbbbba" {
		t.Fatalf("the server has %q", got)
	}
	if s.overlap != "" {
		t.Fatal(s.overlap)
	}
}

func TestAppendersDoNotMeet(t *testing.T) {
	s := newServer([]byte("begin"))
	_, f, h := opened(t, Options{}, s)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			h := f.Open(s)
			defer h.Close()
			for range 100 {
				if _, err := h.Append(context.Background(), []byte("0123456789")); err != nil {
					t.Error(err)
				}
			}
			if err := h.Flush(context.Background(), false); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	mustFlush(t, h)
	if got := s.content(); !bytes.Equal(got, append([]byte("begin"), bytes.Repeat([]byte("0123456789"), 400)...)) {
		t.Fatalf("%d bytes, or wrong ones", len(got))
	}
}

func TestSyncWritesWaitForTheServer(t *testing.T) {
	s := newServer(nil)
	_, f, h := opened(t, Options{SyncWrites: true}, s)
	mustWrite(t, h, []byte("abc"), 0)
	if _, dirty := f.Size(); dirty || string(s.content()) != "abc" {
		t.Fatal("Write returned before the server had the bytes")
	}
	s.set(func() { s.gate = func(context.Context, request) error { return errRefused } })
	if err := h.Write(context.Background(), []byte("d"), 3); !errors.Is(err, errRefused) {
		t.Fatalf("got %v", err)
	}
	s.set(func() { s.gate = nil })
	mustWrite(t, h, []byte("e"), 3)
}

// What was written before an fsync is stored when it returns, or what another thread has written over it since.
func TestBytesWrittenOverWhileTheyWaitAreStillWaitedFor(t *testing.T) {
	for name, over := range map[string][]byte{"in part": []byte("cc"), "as a whole": []byte("cccccc"), "and more": []byte("cccccccc")} {
		for who, another := range map[string]bool{"by the same": false, "by another": true} {
			t.Run(name+" "+who, func(t *testing.T) {
				s := newServer(nil)
				p, f, h := opened(t, Options{}, s)
				slowIdle(p)
				writer := h
				if another {
					writer = f.Open(s)
					defer writer.Close()
				}
				open, waiting := s.hold(ops("write"))
				mustWrite(t, h, []byte("aaaaaa"), 0)
				f.Push()
				eventually(t, "the first is in flight", func() bool { return waiting() == 1 })
				mustWrite(t, h, []byte("bbbbbb"), 0)
				stored := make(chan error)
				go func() { stored <- h.Flush(context.Background(), true) }()
				eventually(t, "the second is to be sent, and waits", func() bool {
					f.mu.Lock()
					defer f.mu.Unlock()
					return f.due == 1
				})
				mustWrite(t, writer, over, 0)
				open()
				if err := <-stored; err != nil {
					t.Fatal(err)
				}
				if got := s.content(); bytes.ContainsRune(got, 'a') || !bytes.HasPrefix(got, over[:min(len(over), len("bbbbbb"))]) {
					t.Errorf("the server has %q", got)
				}
			})
		}
	}
}
