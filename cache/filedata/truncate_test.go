package filedata

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
)

func TestTruncateComesAfterWhatWasWrittenAndBeforeWhatFollows(t *testing.T) {
	s := newServer(nil)
	p, f, h := opened(t, Options{}, s)
	slowIdle(p)
	open, waiting := s.hold(ops("write"))
	defer open()
	mustWrite(t, h, bytes.Repeat([]byte("a"), 64<<10), 0)
	mustWrite(t, h, bytes.Repeat([]byte("b"), 100), 64<<10)
	done := make(chan error)
	go func() {
		done <- f.Truncate(context.Background(), 10, func(ctx context.Context) error {
			return s.Setstat(ctx, sftpconn.Attr{Flags: session.HasSize, Size: 10})
		})
	}()
	eventually(t, "all is in flight", func() bool { return waiting() == 2 })
	over, cancel := context.WithCancel(context.Background())
	cancel()
	if err := h.Write(over, []byte("d"), 20); !errors.Is(err, context.Canceled) {
		t.Fatalf("a write does not wait for the truncation: %v", err)
	}
	wrote := make(chan error)
	go func() { wrote <- h.Write(context.Background(), []byte("c"), 12) }()
	open()
	if err := errors.Join(<-done, <-wrote); err != nil {
		t.Fatal(err)
	}
	mustFlush(t, h)
	if got := s.content(); string(got) != "aaaaaaaaaa\x00\x00c" {
		t.Fatalf("%q", got)
	}
}

func TestTruncateThatFailsLosesNoWrite(t *testing.T) {
	s := newServer(nil)
	var l lost
	p, f, h := opened(t, Options{Lost: l.add}, s)
	slowIdle(p)
	mustWrite(t, h, []byte("precious"), 0)
	err := f.Truncate(context.Background(), 0, func(context.Context) error { return errRefused })
	if n, _ := f.Size(); !errors.Is(err, errRefused) || n != 8 {
		t.Fatalf("%v, size %d", err, n)
	}
	mustFlush(t, h)
	if got := s.content(); string(got) != "precious" || len(l.all()) > 0 {
		t.Fatalf("the server has %q, %d parts were handed over", got, len(l.all()))
	}
}

func TestTruncateThatIsInterruptedLosesNoWrite(t *testing.T) {
	s := newServer(nil)
	p, f, h := opened(t, Options{}, s)
	slowIdle(p)
	open, waiting := s.hold(ops("write"))
	defer open()
	mustWrite(t, h, bytes.Repeat([]byte("a"), 64<<10), 0)
	mustWrite(t, h, []byte("b"), 64<<10)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() {
		done <- f.Truncate(ctx, 0, func(context.Context) error { t.Error("it was sent"); return nil })
	}()
	eventually(t, "it waits for the bytes", func() bool { return waiting() == 2 })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	open()
	mustFlush(t, h)
	if n := len(s.content()); n != 64<<10+1 {
		t.Fatalf("the server has %d bytes", n)
	}
}

func TestTruncateThatFailsChangesNothing(t *testing.T) {
	s := newServer(bytes.Repeat([]byte("a"), 1000))
	_, f, h := opened(t, Options{}, s)
	mustRead(t, h, 0, 1000)
	err := f.Truncate(context.Background(), 10, func(context.Context) error { return errRefused })
	if n, _ := f.Size(); !errors.Is(err, errRefused) || n != 1000 {
		t.Fatalf("%v, size %d", err, n)
	}
	if got := mustRead(t, h, 0, 2000); len(got) != 1000 {
		t.Fatalf("%d bytes", len(got))
	}
	mustWrite(t, h, []byte("b"), 0)
}

func TestTruncatePutsTimesFirst(t *testing.T) {
	s := newServer(nil)
	p, f, h := opened(t, Options{}, s)
	slowIdle(p)
	mustWrite(t, h, []byte("abc"), 0)
	f.SetTimes(mtime(5))
	if err := f.Truncate(context.Background(), 2, func(context.Context) error {
		if s.times == nil {
			t.Error("the times are not set yet")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
