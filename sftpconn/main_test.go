package sftpconn

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// connect makes a connection to srv that ends with the test.
func connect(t testing.TB, srv *sftptest.Server, change ...func(*Options)) *Conn {
	t.Helper()
	o := Options{Dial: srv.Dial, Logger: slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, f := range change {
		f(&o)
	}
	c, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// tapped is a connection to a server of its own, with a tap between them.
func tapped(t testing.TB) (*sftptest.Tap, *sftptest.Server, *Conn) {
	t.Helper()
	tap := sftptest.NewTap()
	srv := sftptest.New(t, sftptest.WithTap(tap))
	return tap, srv, connect(t, srv)
}

// testLog writes the log of a connection to that of its test.
type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Log(string(bytes.TrimSpace(p)))
	return len(p), nil
}

// limited gives a context that fails the test's calls long before the test binary is killed.
func limited(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeoutCause(context.Background(), 2*patience, context.DeadlineExceeded)
	t.Cleanup(cancel)
	return ctx
}

// patience is what a test gives to what must come: none of them is about speed, and the machine may be busy.
const patience = 100 * time.Second

// eventually polls until f holds.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func content(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	r.Read(b)
	return b
}

// file makes a file in the server's directory, last changed an hour ago, and gives its path.
func file(t testing.TB, srv *sftptest.Server, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(srv.Dir(), name)
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	return path
}

func at(path string) func() string { return func() string { return path } }

func openFile(t testing.TB, c *Conn, path string, pflags uint32) *File {
	t.Helper()
	f, _, err := c.Open(limited(t), OpenRequest{Path: at(path), Pflags: pflags, Perm: 0o644})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

// readAll reads a file from its beginning to its end, depth requests at a time.
func readAll(ctx context.Context, f *File, size, depth int) ([]byte, error) {
	b := make([]byte, size)
	piece := f.MaxRead()
	type part struct{ off, end int }
	parts := make(chan part)
	errs := make(chan error, depth)
	for range depth {
		go func() {
			var failed error
			for p := range parts {
				for off := p.off; off < p.end && failed == nil; {
					n, err := f.ReadAt(ctx, b[off:p.end], int64(off))
					if off += n; err != nil {
						failed = err
					}
				}
			}
			errs <- failed
		}()
	}
	for off := 0; off < size; off += piece {
		parts <- part{off, min(off+piece, size)}
	}
	close(parts)
	var failed error
	for range depth {
		if err := <-errs; err != nil {
			failed = err
		}
	}
	if failed != nil {
		return nil, failed
	}
	if n, err := f.ReadAt(ctx, make([]byte, 1), int64(size)); err != io.EOF || n != 0 {
		return nil, err
	}
	return b, nil
}

// writeAll writes b from the beginning, depth requests at a time.
func writeAll(ctx context.Context, f *File, b []byte, depth int) error {
	return writeFrom(ctx, f, b, 0, depth)
}

// writeFrom is writeAll for what is behind off.
func writeFrom(ctx context.Context, f *File, b []byte, off, depth int) error {
	offs := make(chan int)
	errs := make(chan error, depth)
	piece := f.MaxWrite()
	for range depth {
		go func() {
			var failed error
			for off := range offs {
				if failed == nil {
					failed = f.WriteAt(ctx, b[off:min(off+piece, len(b))], int64(off))
				}
			}
			errs <- failed
		}()
	}
	for ; off < len(b); off += piece {
		offs <- off
	}
	close(offs)
	var failed error
	for range depth {
		if err := <-errs; err != nil {
			failed = err
		}
	}
	return failed
}

// sameAs fails the test where the server's file is not b.
func sameAs(t testing.TB, path string, b []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, b) {
		t.Fatalf("%s on the server has %d bytes that differ from the %d written, first at %d", path, len(got), len(b), firstDifference(got, b))
	}
}

func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

const (
	rd  = session.OpenRead
	wr  = session.OpenWrite
	cre = session.OpenCreate
)

// second gives the error of a call whose result a test does not look at.
func second(_ Attr, err error) error { return err }

// readSize is how much a READ asks for, in bytes; 0 with other packets.
func readSize(p sftptest.Packet) int64 {
	if p.Name != "READ" {
		return 0
	}
	return int64(binary.BigEndian.Uint32(p.Body[len(p.Body)-4:]))
}
