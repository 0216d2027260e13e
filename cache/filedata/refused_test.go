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
