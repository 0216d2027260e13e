package filedata_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"sshmount/cache/filedata"
	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// remote is a file on a real SFTP server, open through a real connection.
type remote struct {
	srv  *sftptest.Server
	conn *sftpconn.Conn
	path string
	pool *filedata.Pool
	file *filedata.File
}

func newRemote(t *testing.T, content []byte, o filedata.Options, so ...sftptest.Option) *remote {
	t.Helper()
	r := &remote{srv: sftptest.New(t, so...)}
	r.path = filepath.Join(r.srv.Dir(), "file")
	if err := os.WriteFile(r.path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	conn, err := sftpconn.New(t.Context(), sftpconn.Options{Dial: r.srv.Dial, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	r.conn = conn
	t.Cleanup(func() { conn.Close() })
	r.pool = filedata.NewPool(o)
	t.Cleanup(r.pool.Close)
	filedata.SlowIdle(r.pool)
	r.file = r.pool.NewFile(nil, int64(len(content)))
	return r
}

func (r *remote) open(t *testing.T) *filedata.Handle {
	t.Helper()
	f, _, err := r.conn.Open(t.Context(), sftpconn.OpenRequest{
		Path:   func() string { return r.path },
		Pflags: session.OpenRead | session.OpenWrite,
	})
	if err != nil {
		t.Fatal(err)
	}
	h := r.file.Open(f)
	t.Cleanup(func() {
		h.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := r.file.Drain(ctx); err != nil {
			t.Error(err)
		}
		f.Close()
	})
	return h
}

func bytesOf(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1, byte(n)})
	r.Read(b)
	return b
}

func limited(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func read(ctx context.Context, h *filedata.Handle, off int64, n int) ([]byte, error) {
	v, err := h.Read(ctx, off, n)
	if err != nil {
		return nil, err
	}
	defer v.Release()
	return bytes.Join(v.Vecs, nil), nil
}

func TestCopyThroughARealServer(t *testing.T) {
	r := newRemote(t, nil, filedata.Options{WriteBudget: 8 << 20, ReadBudget: 8 << 20})
	ctx := limited(t)
	data := bytesOf(12<<20 + 12345)
	h := r.open(t)
	for off := 0; off < len(data); off += 128 << 10 {
		if err := h.Write(ctx, data[off:min(off+128<<10, len(data))], int64(off)); err != nil {
			t.Fatal(err)
		}
	}
	when := sftpconn.Attr{Flags: session.HasTimes, Atime: 1_000_000_000, Mtime: 1_000_000_001}
	if !r.file.SetTimes(when) {
		t.Error("all was acknowledged before it was waited for")
	}
	if err := h.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(r.path)
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("the server has %d bytes, or wrong ones: %v", len(got), err)
	}
	if info, err := os.Stat(r.path); err != nil || info.ModTime().Unix() != 1_000_000_001 {
		t.Fatalf("times on the server: %v, %v", info, err)
	}
	r.file.Drop()
	for off := 0; off < len(data); off += 128 << 10 {
		got, err := read(ctx, h, int64(off), 128<<10)
		if err != nil || !bytes.Equal(got, data[off:min(off+128<<10, len(data))]) {
			t.Fatalf("read at %d: %d bytes, or wrong ones: %v", off, len(got), err)
		}
	}
}

// While the line breaks again and again, nothing is lost, repeated in the wrong order or read short.
func TestLineBreaksUnderAWriterAndAReader(t *testing.T) {
	before := bytesOf(4 << 20)
	r := newRemote(t, before, filedata.Options{WriteBudget: 2 << 20, ReadBudget: 2 << 20})
	ctx := limited(t)
	want := bytes.Clone(before)
	w, rd := r.open(t), r.open(t)

	stop := make(chan struct{})
	var breaker sync.WaitGroup
	breaker.Go(func() {
		for range 5 {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
				r.srv.CutAfterBytes(300_000)
			}
		}
	})
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 200 {
		off := rng.Int64N(2 << 20)
		p := bytes.Repeat([]byte{byte(i)}, 1+rng.IntN(40_000))
		if err := w.Write(ctx, p, off); err != nil {
			t.Fatal(err)
		}
		copy(want[off:], p)
		at := rng.Int64N(4 << 20)
		got, err := read(ctx, rd, at, 30_000)
		if err != nil || !bytes.Equal(got, want[at:min(at+30_000, 4<<20)]) {
			t.Fatalf("read at %d: %d bytes, or wrong ones: %v", at, len(got), err)
		}
	}
	close(stop)
	breaker.Wait()
	if err := w.Flush(ctx, true); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(r.path); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("the server has %d bytes, or wrong ones: %v", len(got), err)
	}
}

func TestSmallFileTakesOneFlightEachWay(t *testing.T) {
	tap := sftptest.NewTap()
	r := newRemote(t, nil, filedata.Options{}, sftptest.WithTap(tap))
	ctx := limited(t)
	h := r.open(t)
	// A near server would answer the first request before the second is written, and make two flights of them.
	tap.SetDelay(200 * time.Millisecond)
	tap.Reset()
	data := bytesOf(20_000)
	if err := h.Write(ctx, data, 0); err != nil {
		t.Fatal(err)
	}
	r.file.SetTimes(sftpconn.Attr{Flags: session.HasTimes, Atime: 5, Mtime: 5})
	if err := h.Flush(ctx, false); err != nil {
		t.Fatal(err)
	}
	if n := tap.Flights(); n != 1 {
		t.Errorf("write, set times and close took %d flights: %v", n, tap.Log())
	}
	r.file.Drop()
	tap.Reset()
	if got, err := read(ctx, h, 0, 4096); err != nil || !bytes.Equal(got, data[:4096]) {
		t.Fatal(err)
	}
	if got, err := read(ctx, h, 4096, 128<<10); err != nil || !bytes.Equal(got, data[4096:]) {
		t.Fatal(err)
	}
	if n := tap.Total(); n != 1 {
		t.Errorf("reading it took %d requests: %v", n, tap.Log())
	}
}

// A full disk: what was acknowledged is on the server, the rest is handed over, and the writer learns it.
func TestWritesThatTheServerRefuses(t *testing.T) {
	var mu sync.Mutex
	var lost int
	tap := sftptest.NewTap()
	r := newRemote(t, nil, filedata.Options{Lost: func(_ any, _ int64, data []byte, _ error) {
		mu.Lock()
		defer mu.Unlock()
		lost += len(data)
	}}, sftptest.WithTap(tap))
	ctx := limited(t)
	h := r.open(t)
	var writes int
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "WRITE" {
			mu.Lock()
			defer mu.Unlock()
			if writes++; writes > 2 {
				return sftptest.Answer(session.StatusFailure, "Failure")
			}
		}
		return sftptest.Pass()
	})
	data := bytesOf(3 << 20)
	wrote := 0
	var err error
	for wrote < len(data) && err == nil {
		if err = h.Write(ctx, data[wrote:wrote+64<<10], int64(wrote)); err == nil {
			wrote += 64 << 10
		}
	}
	err = h.Flush(ctx, true)
	var status *session.StatusError
	if !errors.As(err, &status) {
		t.Fatalf("got %v", err)
	}
	tap.OnRequest(nil)
	mu.Lock()
	defer mu.Unlock()
	if lost == 0 || lost >= wrote {
		t.Errorf("%d bytes of %d were handed over", lost, wrote)
	}
}
