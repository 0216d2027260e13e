package filedata

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
)

func TestTimesThatAreRefusedAreAnError(t *testing.T) {
	s := newServer(nil)
	var l lost
	p, f, h := opened(t, Options{Lost: l.add}, s)
	slowIdle(p)
	s.set(func() {
		s.gate = func(_ context.Context, r request) error {
			if r.op != "write" {
				return errRefused
			}
			return nil
		}
	})
	mustWrite(t, h, []byte("abc"), 0)
	f.SetTimes(mtime(5))
	if err := h.Flush(context.Background(), true); !errors.Is(err, errRefused) {
		t.Fatalf("got %v", err)
	}
	if string(s.content()) != "abc" || len(l.all()) != 0 {
		t.Fatal("the bytes were given up with the times")
	}
}

// Who may set the times is another matter than who may write.
func TestTimesThatAreRefusedKeepNobodyFromWriting(t *testing.T) {
	s := newServer(nil)
	p, f, h := opened(t, Options{}, s)
	slowIdle(p)
	s.set(func() {
		s.gate = func(_ context.Context, r request) error {
			if strings.Contains(r.op, "setstat") {
				return errRefused
			}
			return nil
		}
	})
	mustWrite(t, h, []byte("first"), 0)
	if !f.SetTimes(sftpconn.Attr{Flags: session.HasTimes, Mtime: 1}) {
		t.Fatal("the file is not dirty")
	}
	if err := h.Flush(context.Background(), false); !errors.Is(err, errRefused) {
		t.Errorf("close: %v", err)
	}
	mustWrite(t, h, []byte("second"), 5)
}

// A writer that never stops must not hold up who waits for what is written now.
func TestFlushedHasAnEndBesideASteadyWriter(t *testing.T) {
	s := newServer(nil)
	p, f, h := opened(t, Options{}, s)
	s.set(func() {
		s.gate = func(context.Context, request) error {
			mustWrite(t, h, []byte("y"), 2000) // so it is never clean
			return nil
		}
	})
	mustWrite(t, h, []byte("x"), 0)
	for name, flushed := range map[string]func(context.Context) error{"file": f.Flushed, "pool": p.Flushed} {
		limit, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		if err := flushed(limit); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
	s.set(func() { s.gate = nil })
}

// With SyncWrites each program is told what became of its own bytes, and has those that were refused still.
func TestSyncWritesTellTheProgramWhoseBytesAreRefused(t *testing.T) {
	s := newServer(nil)
	var l lost
	_, _, h := opened(t, Options{SyncWrites: true, Lost: l.add}, s)
	open, waiting := s.hold(ops("write"))
	s.set(func() {
		held := s.gate
		s.gate = func(ctx context.Context, r request) error {
			if err := held(ctx, r); err != nil || r.off > 0 {
				return err
			}
			return errRefused
		}
	})
	results := map[int64]chan error{0: make(chan error, 1), 4096: make(chan error, 1), 8192: make(chan error, 1)}
	for off, result := range results {
		go func() { result <- h.Write(context.Background(), make([]byte, 4096), off) }()
	}
	eventually(t, "all are in flight", func() bool { return waiting() == 3 })
	open()
	for off, result := range results {
		if err := <-result; (off == 0) != errors.Is(err, errRefused) {
			t.Errorf("the write at %d: %v", off, err)
		}
	}
	if err := h.Flush(context.Background(), false); err != nil {
		t.Errorf("close: %v", err)
	}
	if n := len(l.all()); n > 0 {
		t.Errorf("%d pieces are taken for lost", n)
	}
}

func TestSyncWritesLoseNothingThatNobodyIsToldOf(t *testing.T) {
	write := map[string]func(h *Handle){
		"a page of a mapping": func(h *Handle) { _ = h.WriteBack(context.Background(), []byte("x"), 0) },
		"of a program that has given up": func(h *Handle) {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			_ = h.Write(ctx, []byte("x"), 0)
		},
	}
	for name, write := range write {
		t.Run(name, func(t *testing.T) {
			s := newServer(nil)
			var l lost
			_, f, h := opened(t, Options{SyncWrites: true, Lost: l.add}, s)
			answer := make(chan struct{})
			s.set(func() {
				s.gate = func(context.Context, request) error {
					<-answer
					return errRefused
				}
			})
			written := make(chan struct{})
			go func() { write(h); close(written) }()
			if name != "a page of a mapping" {
				<-written
			}
			close(answer)
			<-written
			eventually(t, "the answer is there", func() bool { _, dirty := f.Size(); return !dirty })
			if n := len(l.all()); n != 1 {
				t.Errorf("%d pieces are rescued", n)
			}
		})
	}
}
