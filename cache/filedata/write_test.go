package filedata

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
)

func mtime(n uint32) sftpconn.Attr { return sftpconn.Attr{Flags: session.HasTimes, Mtime: n} }

// slowIdle keeps extents from being sent because the machine is slow: only what a test does sends them.
func slowIdle(p *Pool) { p.idleTime, p.idleLongest = time.Hour, time.Hour }

func TestSmallFileWithTimesIsOneFlight(t *testing.T) {
	s := newServer(nil)
	p, f, h := opened(t, Options{}, s)
	slowIdle(p)
	data := random(10_000)
	for off := 0; off < len(data); off += 1000 {
		mustWrite(t, h, data[off:off+1000], int64(off))
	}
	if !f.SetTimes(mtime(7)) {
		t.Fatal("SetTimes says that nothing is unacknowledged")
	}
	mustFlush(t, h)
	if r := s.asked(); len(r) != 1 || r[0] != (request{"write+setstat", 0, 10_000}) {
		t.Fatalf("requests: %v", r)
	}
	if !bytes.Equal(s.content(), data) || s.times.Mtime != 7 {
		t.Fatal("wrong bytes or times")
	}
	if f.SetTimes(mtime(8)) {
		t.Fatal("SetTimes took times for a clean file")
	}
}

func TestTimesFollowTheLastOfSeveralPieces(t *testing.T) {
	s := newServer(nil)
	p, f, h := opened(t, Options{}, s)
	slowIdle(p)
	open, waiting := s.hold(ops("write"))
	mustWrite(t, h, random(200_000), 0)
	eventually(t, "the full pieces are in flight", func() bool { return waiting() == 3 })
	f.SetTimes(mtime(7))
	f.SetTimes(mtime(8))
	open()
	mustFlush(t, h)
	r := s.asked()
	if last := r[len(r)-1]; last.op != "setstat" || s.times.Mtime != 8 {
		t.Fatalf("requests: %v", r)
	}
}

// Once all but the last piece are acknowledged, a file of several pieces ends like a small one.
func TestTimesGoOutWithTheOnlyPieceThatIsLeft(t *testing.T) {
	s := newServer(nil)
	p, f, h := opened(t, Options{}, s)
	slowIdle(p)
	mustWrite(t, h, random(200_000), 0)
	eventually(t, "the full pieces are acknowledged", func() bool { return p.Stats().Dirty < 64<<10 })
	f.SetTimes(mtime(7))
	mustFlush(t, h)
	r := s.asked()
	if last := r[len(r)-1]; last != (request{"write+setstat", 196_608, 3392}) || s.times.Mtime != 7 {
		t.Fatalf("requests: %v", r)
	}
}

func TestWriteAfterTimesIsSentAfterThem(t *testing.T) {
	s := newServer(nil)
	p, f, h := opened(t, Options{}, s)
	slowIdle(p)
	mustWrite(t, h, []byte("aaaa"), 0)
	f.SetTimes(mtime(7))
	mustWrite(t, h, []byte("bb"), 2)
	mustFlush(t, h)
	r := s.asked()
	if len(r) != 2 || r[0].op != "write+setstat" || r[1] != (request{"write", 2, 2}) {
		t.Fatalf("requests: %v", r)
	}
	if s.times != nil || string(s.content()) != "aabb" {
		t.Fatalf("times %v, %q", s.times, s.content())
	}
}

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

func TestHolesAreZeros(t *testing.T) {
	s := newServer([]byte("abc"))
	p, f, h := opened(t, Options{}, s)
	slowIdle(p)
	mustWrite(t, h, []byte("x"), 300_000)
	want := append([]byte("abc"), make([]byte, 299_997)...)
	want = append(want, 'x')
	if got := mustRead(t, h, 0, 400_000); !bytes.Equal(got, want) {
		t.Fatalf("before it is sent: %d bytes, or wrong ones", len(got))
	}
	mustFlush(t, h)
	f.Drop()
	if got := mustRead(t, h, 0, 400_000); !bytes.Equal(got, want) {
		t.Fatalf("after: %d bytes, or wrong ones", len(got))
	}
}

func TestNewFileIsReadWithoutTheServer(t *testing.T) {
	s := newServer(nil)
	p, _, h := opened(t, Options{}, s)
	slowIdle(p)
	mustWrite(t, h, []byte("x"), 5000)
	mustRead(t, h, 0, 100_000)
	if r := s.asked(); len(r) != 0 {
		t.Fatalf("asked for %v", r)
	}
}

// The kernel has the pages that it wrote as a whole. The last one it asks for, when somebody reads the file.
func TestTheLastPageOfALargeFileStaysWhenItIsAcknowledged(t *testing.T) {
	s := newServer(nil)
	s.maxWrite = 128 << 10
	p, _, h := opened(t, Options{}, s)
	slowIdle(p)
	data := random(200_000)
	mustWrite(t, h, data, 0)
	mustFlush(t, h)
	s.asked()
	from := int64(len(data) &^ (pageSize - 1))
	if got := mustRead(t, h, from, pageSize); !bytes.Equal(got, data[from:]) {
		t.Fatal("wrong bytes")
	}
	if r := s.asked(); len(r) != 0 {
		t.Fatalf("asked for %v", r)
	}
	if got := mustRead(t, h, 0, len(data)); !bytes.Equal(got, data) {
		t.Fatal("wrong bytes")
	}
}

// Small writes that were acknowledged stay here, and must not make many requests of a read around them.
func TestReadAroundSmallWritesIsOneRequest(t *testing.T) {
	s := newServer(random(60_000))
	_, _, h := opened(t, Options{}, s)
	for off := int64(1000); off < 60_000; off += 5000 {
		mustWrite(t, h, []byte("0123456789"), off)
	}
	mustFlush(t, h)
	s.asked()
	if got := mustRead(t, h, 0, 60_000); !bytes.Equal(got, s.content()) {
		t.Fatal("wrong bytes")
	}
	if r := s.asked(); len(r) != 1 {
		t.Fatalf("requests: %v", r)
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

func TestWriterWaitsForTheBudget(t *testing.T) {
	s := newServer(nil)
	p, _, h := opened(t, Options{WriteBudget: 256 << 10}, s)
	open, waiting := s.hold(ops("write"))
	defer open()
	for i := range 4 {
		mustWrite(t, h, make([]byte, 64<<10), int64(i)<<16)
	}
	eventually(t, "all is in flight", func() bool { return waiting() == 4 })
	cause := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(context.Background())
	wrote := make(chan error)
	go func() { wrote <- h.Write(ctx, make([]byte, 64<<10), 1<<20) }()
	eventually(t, "the writer waits", func() bool { return p.waiting.Load() == 1 })
	cancel(cause)
	if err := <-wrote; !errors.Is(err, cause) {
		t.Fatalf("got %v", err)
	}
	go func() { wrote <- h.Write(context.Background(), make([]byte, 64<<10), 1<<20) }()
	eventually(t, "the writer waits", func() bool { return p.waiting.Load() == 1 })
	open()
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	mustFlush(t, h)
	if st := p.Stats(); st.Dirty != 0 {
		t.Fatalf("%+v", st)
	}
}

// Memory held by extents that wait for more to merge with is given to who needs it.
func TestBudgetIsTakenFromIdleExtents(t *testing.T) {
	s := newServer(nil)
	p := newPool(t, Options{WriteBudget: 64 << 10})
	slowIdle(p)
	for range 100 {
		h := p.NewFile(nil, 0).Open(newServer(nil))
		defer h.Close()
		mustWrite(t, h, make([]byte, 3000), 0)
	}
	h := p.NewFile(nil, 0).Open(s)
	defer h.Close()
	mustWrite(t, h, make([]byte, 1<<20), 0) // more than the budget
	if err := p.Flushed(context.Background()); err != nil {
		t.Fatal(err)
	}
	if len(s.content()) != 1<<20 {
		t.Fatal("not all arrived")
	}
}

func TestStatsTellWhatIsNotSaved(t *testing.T) {
	s := newServer(nil)
	p, _, h := opened(t, Options{}, s)
	slowIdle(p)
	before := time.Now()
	mustWrite(t, h, make([]byte, 1000), 0)
	mustWrite(t, h, make([]byte, 1000), 500)
	st := p.Stats()
	if st.Dirty != 1500 || st.DirtyFiles != 1 || st.OldestDirty.Before(before) || st.OldestDirty.After(time.Now()) {
		t.Fatalf("%+v", st)
	}
}

// A stale answer about the size must not hide bytes that the server has.
func TestSmallerSizeIsNotBelievedWhileDirty(t *testing.T) {
	s := newServer(nil)
	p, f, h := opened(t, Options{}, s)
	slowIdle(p)
	data := random(128 << 10)
	mustWrite(t, h, data, 0)
	mustFlush(t, h)
	mustWrite(t, h, []byte("x"), 200_000)
	f.SetRemoteSize(0)
	if got := mustRead(t, h, 0, 128<<10); !bytes.Equal(got, data) {
		t.Fatal("acknowledged bytes are gone")
	}
	if n, dirty := f.Size(); n != 200_001 || !dirty {
		t.Fatalf("size %d", n)
	}
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
				if got := s.content(); bytes.ContainsRune(got, 'a') || !bytes.HasPrefix(got, over) {
					t.Errorf("the server has %q", got)
				}
			})
		}
	}
}
