package filedata

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// request is what a server was asked.
type request struct {
	op  string // read, write, setstat, write+setstat, fsync
	off int64
	n   int
}

// server is one file on the other side, and the Backend that leads to it.
type server struct {
	maxRead, maxWrite int

	mu       sync.Mutex
	data     []byte
	times    *sftpconn.Attr // nil after a write
	requests []request
	writing  map[*request]struct{}
	overlap  string // the first two writes that were in flight together for the same bytes

	delay func() time.Duration                       // nil: none
	gate  func(ctx context.Context, r request) error // called before anything is done; nil: none
	after func(r request)                            // called when a read has come to the end of the file, before its answer goes out; nil: none
	short func(n int) int                            // how many of n bytes an answer has; nil: all
	seen  int64                                      // where it sees the end of a longer file, until ReadGrown; 0 for where it is

	onTimes func(mtime uint32) // called with mu held when times are set, before anything else is done; nil: none
}

func newServer(data []byte) *server {
	return &server{maxRead: 64 << 10, maxWrite: 64 << 10, data: data, writing: map[*request]struct{}{}}
}

func (s *server) MaxRead() int       { return s.maxRead }
func (s *server) MaxWrite() int      { return s.maxWrite }
func (s *server) RTT() time.Duration { return 0 }

// pass is what every request goes through before the server does it.
func (s *server) pass(ctx context.Context, r request) error {
	s.mu.Lock()
	s.requests = append(s.requests, r)
	gate, delay := s.gate, s.delay
	s.mu.Unlock()
	if gate != nil {
		if err := gate(ctx, r); err != nil {
			return err
		}
	}
	if delay != nil {
		select {
		case <-time.After(delay()):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return ctx.Err()
}

func (s *server) ReadAt(ctx context.Context, dst []byte, off int64) (int, error) {
	if len(dst) > s.maxRead {
		return 0, errors.New("a READ larger than the server takes")
	}
	if err := s.pass(ctx, request{"read", off, len(dst)}); err != nil {
		return 0, err
	}
	s.mu.Lock()
	after := s.after
	if off >= int64(len(s.data)) || s.seen > 0 && off >= s.seen {
		s.mu.Unlock()
		if after != nil {
			after(request{"read", off, 0})
		}
		return 0, io.EOF
	}
	defer s.mu.Unlock()
	n := min(len(dst), len(s.data)-int(off))
	if s.short != nil {
		n = s.short(n)
	}
	return copy(dst[:n], s.data[off:]), nil
}

func (s *server) ReadGrown(ctx context.Context, dst []byte, off int64) (int, error) {
	s.set(func() { s.seen = 0 })
	return s.ReadAt(ctx, dst, off)
}

func (s *server) WriteAt(ctx context.Context, p []byte, off int64) error {
	return s.write(ctx, request{"write", off, len(p)}, p, nil)
}

func (s *server) WriteSetstat(ctx context.Context, p []byte, off int64, a sftpconn.Attr) error {
	return s.write(ctx, request{"write+setstat", off, len(p)}, p, &a)
}

func (s *server) write(ctx context.Context, r request, p []byte, a *sftpconn.Attr) error {
	if len(p) > s.maxWrite || len(p) == 0 {
		return fmt.Errorf("a WRITE of %d bytes", len(p))
	}
	s.mu.Lock()
	for o := range s.writing {
		if o.off < r.off+int64(r.n) && r.off < o.off+int64(o.n) && s.overlap == "" {
			s.overlap = fmt.Sprintf("%v and %v", *o, r)
		}
	}
	s.writing[&r] = struct{}{}
	s.mu.Unlock()
	err := s.pass(ctx, r)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.writing, &r)
	if err != nil {
		return err
	}
	if end := int(r.off) + len(p); end > len(s.data) {
		s.data = append(s.data, make([]byte, end-len(s.data))...)
	}
	copy(s.data[r.off:], p)
	s.times = a
	if a != nil && s.onTimes != nil {
		s.onTimes(a.Mtime)
	}
	return nil
}

func (s *server) Setstat(ctx context.Context, a sftpconn.Attr) error {
	if err := s.pass(ctx, request{op: "setstat"}); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.Flags&session.HasTimes != 0 {
		s.times = &a
		if s.onTimes != nil {
			s.onTimes(a.Mtime)
		}
	}
	if a.Flags&session.HasSize != 0 {
		s.resize(int(a.Size))
	}
	return nil
}

func (s *server) resize(n int) {
	if n <= len(s.data) {
		s.data = s.data[:n:n]
	} else {
		s.data = append(s.data, make([]byte, n-len(s.data))...)
	}
}

func (s *server) Fsync(ctx context.Context) error { return s.pass(ctx, request{op: "fsync"}) }

func (s *server) FsyncBehind(context.Context, <-chan struct{}, int64) (func() bool, error) {
	return nil, nil
}

func (s *server) StatBehind(context.Context, <-chan struct{}, int64) func() (sftpconn.Attr, bool) {
	return nil
}

// asked takes the requests since the last call.
func (s *server) asked() []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.requests
	s.requests = nil
	return r
}

func (s *server) set(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
}

func (s *server) content() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.data)
}

// lost collects what a pool could not deliver.
type lost struct {
	mu    sync.Mutex
	parts []lostPart
}

type lostPart struct {
	tag  any
	off  int64
	data []byte
	err  error
}

func (l *lost) add(tag any, off int64, data []byte, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.parts = append(l.parts, lostPart{tag, off, bytes.Clone(data), err})
}

func (l *lost) all() []lostPart {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]lostPart(nil), l.parts...)
}

func newPool(t testing.TB, o Options) *Pool {
	p := NewPool(o)
	p.retry = time.Millisecond
	t.Cleanup(p.Close)
	return p
}

// opened is a pool with one file and one handle of it.
func opened(t testing.TB, o Options, s *server) (*Pool, *File, *Handle) {
	p := newPool(t, o)
	f := p.NewFile("tag", int64(len(s.data)))
	h := f.Open(s)
	t.Cleanup(h.Close)
	return p, f, h
}

func random(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(n)})
	r.Read(b)
	return b
}

func flat(v View) []byte {
	b := bytes.Join(v.Vecs, nil)
	if len(b) != v.N {
		panic(fmt.Sprintf("a view of %d bytes has vectors of %d", v.N, len(b)))
	}
	return b
}

func mustRead(t testing.TB, h *Handle, off int64, n int) []byte {
	t.Helper()
	v, err := h.Read(context.Background(), off, n)
	if err != nil {
		t.Fatalf("read %d bytes at %d: %v", n, off, err)
	}
	defer v.Release()
	return flat(v)
}

func mustWrite(t testing.TB, h *Handle, p []byte, off int64) {
	t.Helper()
	if err := h.Write(context.Background(), p, off); err != nil {
		t.Fatalf("write %d bytes at %d: %v", len(p), off, err)
	}
}

func mustFlush(t testing.TB, h *Handle) {
	t.Helper()
	if err := h.Flush(context.Background(), false); err != nil {
		t.Fatalf("flush: %v", err)
	}
}

// eventually waits for something that has no channel to wait on.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

// slowIdle keeps extents from being sent because the machine is slow: only what a test does sends them.
func slowIdle(p *Pool) { p.idleTime, p.idleLongest = time.Hour, time.Hour }
