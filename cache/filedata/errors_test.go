package filedata

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sshmount/sftpconn"
)

func TestWriteErrorReachesEveryHandleUntilSettled(t *testing.T) {
	s := newServer(nil)
	var l lost
	p, f, writer := opened(t, Options{Lost: l.add}, s)
	other := f.Open(s)
	defer other.Close()
	slowIdle(p)
	s.set(func() {
		s.gate = func(_ context.Context, r request) error {
			if r.op == "write" && r.off == 0 {
				return errRefused
			}
			return nil
		}
	})
	data := random(100_000)
	mustWrite(t, writer, data, 0)
	for range 2 {
		if err := writer.Flush(context.Background(), false); !errors.Is(err, errRefused) {
			t.Fatalf("close: %v", err)
		}
	}
	if err := writer.Write(context.Background(), []byte("x"), 100_000); !errors.Is(err, errRefused) {
		t.Fatalf("a write after the error: %v", err)
	}
	mustWrite(t, writer, []byte("x"), 100_000) // there may be room again
	if err := writer.Sync(context.Background()); !errors.Is(err, errRefused) {
		t.Fatalf("fsync: %v", err)
	}
	if err := writer.Sync(context.Background()); err != nil {
		t.Fatalf("a second fsync: %v", err)
	}
	if err := other.Flush(context.Background(), true); !errors.Is(err, errRefused) {
		t.Fatalf("close of another handle: %v", err)
	}
	late := f.Open(s)
	defer late.Close()
	if err := late.Flush(context.Background(), false); err != nil {
		t.Fatalf("a handle opened after the error: %v", err)
	}
	mustWrite(t, writer, []byte("x"), 100_000)
	mustFlush(t, writer)

	parts := l.all()
	if len(parts) != 1 || parts[0].off != 0 || parts[0].tag != "tag" || !bytes.Equal(parts[0].data, data[:64<<10]) || !errors.Is(parts[0].err, errRefused) {
		t.Fatalf("lost: %d parts", len(parts))
	}
	if !bytes.Equal(s.content()[64<<10:100_000], data[64<<10:]) {
		t.Fatal("what followed the refused piece did not arrive")
	}
}

func TestLostIsCalledBeforeTheErrorIsReported(t *testing.T) {
	s := newServer(nil)
	var rescued atomic.Bool
	_, _, h := opened(t, Options{Lost: func(any, int64, []byte, error) {
		time.Sleep(10 * time.Millisecond)
		rescued.Store(true)
	}}, s)
	s.set(func() { s.gate = func(context.Context, request) error { return errRefused } })
	mustWrite(t, h, []byte("x"), 0)
	if err := h.Flush(context.Background(), true); !errors.Is(err, errRefused) || !rescued.Load() {
		t.Fatalf("%v, rescued %v", err, rescued.Load())
	}
}

func TestBrokenLineLosesNothing(t *testing.T) {
	s := newServer(nil)
	var l lost
	p, f, h := opened(t, Options{Lost: l.add}, s)
	p.retry = time.Millisecond
	var down atomic.Bool
	down.Store(true)
	s.set(func() {
		s.gate = func(context.Context, request) error {
			if down.Load() {
				return sftpconn.ErrUnreachable
			}
			return nil
		}
	})
	mustWrite(t, h, []byte("abc"), 0)
	ctx, cancel := context.WithCancelCause(context.Background())
	flushed := make(chan error)
	go func() { flushed <- h.Flush(ctx, false) }()
	cancel(sftpconn.ErrUnreachable)
	if err := <-flushed; !errors.Is(err, sftpconn.ErrUnreachable) {
		t.Fatalf("flush: %v", err)
	}
	if got := mustRead(t, h, 0, 10); string(got) != "abc" {
		t.Fatalf("read %q", got)
	}
	down.Store(false)
	if err := f.Drain(context.Background()); err != nil {
		t.Fatal(err)
	}
	mustFlush(t, h)
	if string(s.content()) != "abc" || len(l.all()) != 0 {
		t.Fatal("not delivered")
	}
}

func TestStaleHandleLosesItsBytesAndNoOthers(t *testing.T) {
	s, gone := newServer(nil), newServer(nil)
	gone.gate = func(context.Context, request) error { return sftpconn.ErrStale }
	var l lost
	p, f, h := opened(t, Options{Lost: l.add}, s)
	slowIdle(p)
	old := f.Open(gone)
	defer old.Close()
	mustWrite(t, h, []byte("good"), 0)
	mustWrite(t, old, bytes.Repeat([]byte("s"), 64<<10), 1<<20) // a full piece, so it is sent
	mustWrite(t, h, []byte("good"), 4)
	eventually(t, "the handle is known to be stale", func() bool { f.mu.Lock(); defer f.mu.Unlock(); return old.stale != nil })
	if err := old.Write(context.Background(), []byte("x"), 0); !errors.Is(err, sftpconn.ErrStale) {
		t.Fatalf("write: %v", err)
	}
	if err := old.Sync(context.Background()); !errors.Is(err, sftpconn.ErrStale) {
		t.Fatalf("fsync: %v", err)
	}
	if n := len(gone.asked()); n != 1 {
		t.Fatalf("%d requests for a stale handle", n)
	}
	if err := h.Flush(context.Background(), true); !errors.Is(err, sftpconn.ErrStale) {
		t.Fatalf("close of another handle: %v", err)
	}
	if string(s.content()) != "goodgood" || len(l.all()) != 1 {
		t.Fatalf("%q, %d parts lost", s.content(), len(l.all()))
	}
}

func TestStaleHandleFailsNoReadOfAnother(t *testing.T) {
	data := random(10_000)
	s, gone := newServer(data), newServer(data)
	lose := make(chan struct{})
	gone.gate = func(context.Context, request) error {
		<-lose
		return sftpconn.ErrStale
	}
	_, f, h := opened(t, Options{NoReadAhead: true}, s)
	old := f.Open(gone)
	defer old.Close()
	first := make(chan error, 1)
	go func() {
		_, err := old.Read(context.Background(), 0, 10_000)
		first <- err
	}()
	holders := func(n int32) func() bool {
		return func() bool {
			f.mu.Lock()
			defer f.mu.Unlock()
			return len(f.clean.s) == 1 && f.clean.s[0].buf.refs.Load() == n
		}
	}
	eventually(t, "the one that is stale waits for its request", holders(3))
	second := make(chan error, 1)
	go func() {
		v, err := h.Read(context.Background(), 0, 10_000)
		if err == nil && !bytes.Equal(flat(v), data) {
			err = errors.New("wrong bytes")
		}
		v.Release()
		second <- err
	}()
	eventually(t, "the other waits for the same", holders(4))
	close(lose)
	if err := <-first; !errors.Is(err, sftpconn.ErrStale) {
		t.Errorf("the one that is stale: %v", err)
	}
	if err := <-second; err != nil {
		t.Errorf("the other: %v", err)
	}
}

func TestCloseOfThePoolRescuesWhatIsLeft(t *testing.T) {
	s := newServer(nil)
	var l lost
	p, f, h := opened(t, Options{Lost: l.add}, s)
	slowIdle(p)
	_, waiting := s.hold(func(request) bool { return true })
	data := random(100_000)
	mustWrite(t, h, data, 0)
	f.SetTimes(mtime(5))
	mustWrite(t, h, []byte("late"), 0)
	eventually(t, "a piece is in flight", func() bool { return waiting() == 1 })
	flushed := make(chan error)
	go func() { flushed <- h.Flush(context.Background(), false) }()
	p.Close()
	if err := <-flushed; !errors.Is(err, ErrClosed) {
		t.Fatalf("flush: %v", err)
	}
	// Later parts are newer.
	got := make([]byte, 100_000)
	for _, part := range l.all() {
		if !errors.Is(part.err, ErrClosed) {
			t.Error(part.err)
		}
		copy(got[part.off:], part.data)
	}
	copy(data, "late")
	if !bytes.Equal(got, data) {
		t.Fatal("what was rescued is not what was written")
	}
	if err := h.Write(context.Background(), []byte("x"), 0); !errors.Is(err, ErrClosed) {
		t.Fatalf("write: %v", err)
	}
	if _, err := h.Read(context.Background(), 200_000, 10); !errors.Is(err, ErrClosed) {
		t.Fatalf("read: %v", err)
	}
}

func TestCloseOfThePoolRescuesWhatWasWrittenAtThatMoment(t *testing.T) {
	for range 40 { // where the close comes in a write differs
		var l lost
		p := NewPool(Options{Lost: l.add})
		s := newServer(nil)
		s.gate = func(ctx context.Context, _ request) error {
			<-ctx.Done()
			return ctx.Err()
		}
		var accepted atomic.Int64
		var writers sync.WaitGroup
		for range 4 {
			writers.Go(func() {
				for p.NewFile(nil, 0).Open(s).Write(context.Background(), []byte("x"), 0) == nil {
					accepted.Add(1)
				}
			})
		}
		eventually(t, "they write", func() bool { return accepted.Load() > 0 })
		p.Close()
		rescued := len(l.all())
		writers.Wait()
		if n := int(accepted.Load()); rescued != n {
			t.Fatalf("%d writes were accepted, %d handed over when Close returned", n, rescued)
		}
	}
}
