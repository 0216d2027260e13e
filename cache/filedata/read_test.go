package filedata

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

var errRefused = errors.New("refused")

// hold makes requests that match wait until the returned function is called; waiting says how many do.
func (s *server) hold(match func(request) bool) (open func(), waiting func() int) {
	ch := make(chan struct{})
	var mu sync.Mutex
	n := 0
	s.set(func() {
		s.gate = func(ctx context.Context, r request) error {
			if !match(r) {
				return nil
			}
			mu.Lock()
			n++
			mu.Unlock()
			defer func() {
				mu.Lock()
				n--
				mu.Unlock()
			}()
			select {
			case <-ch:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	return sync.OnceFunc(func() { close(ch) }), func() int {
		mu.Lock()
		defer mu.Unlock()
		return n
	}
}

func ops(op string) func(request) bool { return func(r request) bool { return r.op == op } }

func TestRandomReadAsksForWhatIsRead(t *testing.T) {
	data := random(10 << 20)
	s := newServer(data)
	_, _, h := opened(t, Options{}, s)
	for _, off := range []int64{5 << 20, 123 << 12, 9 << 20, 7 << 12, 1 << 20} {
		if got := mustRead(t, h, off, 4096); !bytes.Equal(got, data[off:off+4096]) {
			t.Fatalf("wrong bytes at %d", off)
		}
		if r := s.asked(); len(r) != 1 || r[0] != (request{"read", off, 4096}) {
			t.Fatalf("a read of 4 KiB at %d asked for %v", off, r)
		}
	}
}

func TestUnalignedReadAsksForItsPage(t *testing.T) {
	s := newServer(random(1 << 20))
	_, _, h := opened(t, Options{}, s)
	mustRead(t, h, 500_100, 50)
	mustRead(t, h, 500_300, 50)
	if r := s.asked(); len(r) != 1 || r[0] != (request{"read", 500_100 &^ 4095, 4096}) {
		t.Fatalf("two small reads of one page asked for %v", r)
	}
}

func TestSmallFileIsOneRequest(t *testing.T) {
	data := random(50_000)
	s := newServer(data)
	_, _, h := opened(t, Options{}, s)
	var got []byte
	for off := int64(0); off < 50_000; off += 4096 {
		got = append(got, mustRead(t, h, off, 4096)...)
	}
	if !bytes.Equal(got, data) {
		t.Fatal("wrong bytes")
	}
	if r := s.asked(); len(r) != 1 || r[0] != (request{"read", 0, 50_000}) {
		t.Fatalf("a file of 50,000 bytes, 4 KiB at a time, asked for %v", r)
	}
}

func TestErrorReachesTheReaderAndIsNotKept(t *testing.T) {
	s := newServer(random(500_000))
	_, _, h := opened(t, Options{}, s)
	s.set(func() { s.gate = func(context.Context, request) error { return errRefused } })
	if _, err := h.Read(context.Background(), 100_000, 4096); !errors.Is(err, errRefused) {
		t.Fatalf("got %v", err)
	}
	s.set(func() { s.gate = nil })
	if got := mustRead(t, h, 100_000, 4096); len(got) != 4096 {
		t.Fatalf("after the error: %d bytes", len(got))
	}
}

func TestReaderCanBeInterrupted(t *testing.T) {
	s := newServer(random(500_000))
	_, _, h := opened(t, Options{}, s)
	open, waiting := s.hold(ops("read"))
	cause := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(context.Background())
	failed := make(chan error)
	go func() {
		_, err := h.Read(ctx, 0, 4096)
		failed <- err
	}()
	eventually(t, "the request is out", func() bool { return waiting() > 0 })
	cancel(cause)
	if err := <-failed; !errors.Is(err, cause) {
		t.Fatalf("got %v", err)
	}
	// The answer serves the next one.
	s.asked()
	open()
	mustRead(t, h, 0, 4096)
	for _, r := range s.asked() {
		if r.off == 0 {
			t.Fatalf("asked again: %v", r)
		}
	}
}

func TestDropForgetsWhatIsOnItsWay(t *testing.T) {
	s := newServer(bytes.Repeat([]byte("a"), 10_000))
	_, f, h := opened(t, Options{}, s)
	open, waiting := s.hold(ops("read"))
	first := make(chan View)
	go func() {
		v, err := h.Read(context.Background(), 0, 10_000)
		if err != nil {
			panic(err)
		}
		first <- v
	}()
	eventually(t, "the request is out", func() bool { return waiting() > 0 })
	f.Drop()
	s.set(func() { s.gate = nil; s.data = bytes.Repeat([]byte("b"), 10_000) })
	if got := mustRead(t, h, 0, 10_000); !bytes.Equal(got, s.content()) {
		t.Fatal("a read after Drop got bytes asked for before it")
	}
	open()
	v := <-first
	v.Release()
	if got := mustRead(t, h, 0, 10_000); !bytes.Equal(got, s.content()) {
		t.Fatal("bytes asked for before Drop were kept")
	}
}

func TestReaderOutlivesTheHandleThatAsked(t *testing.T) {
	data := random(10_000)
	s := newServer(data)
	_, f, h := opened(t, Options{}, s)
	other := f.Open(s)
	open, waiting := s.hold(ops("read"))
	defer open()
	go func() {
		v, _ := other.Read(context.Background(), 0, 10_000)
		v.Release()
	}()
	eventually(t, "the request is out", func() bool { return waiting() > 0 })
	got := make(chan []byte)
	go func() { got <- mustRead(t, h, 0, 10_000) }()
	eventually(t, "both readers wait for it", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.clean.s[0].buf.refs.Load() == 4 // its span and its fetch hold it, too
	})
	s.set(func() { s.gate = nil })
	other.Close()
	if b := <-got; !bytes.Equal(b, data) {
		t.Fatal("wrong bytes")
	}
}

func TestPreloadedContentCostsNothing(t *testing.T) {
	data := random(100_000)
	s := newServer(nil)
	_, f, h := opened(t, Options{}, s)
	f.Preload(bytes.Clone(data), int64(len(data)))
	if n, dirty := f.Size(); n != 100_000 || dirty {
		t.Fatalf("size %d, dirty %v", n, dirty)
	}
	if got := mustRead(t, h, 0, 200_000); !bytes.Equal(got, data) {
		t.Fatal("wrong bytes")
	}
	if r := s.asked(); len(r) != 0 {
		t.Fatalf("asked for %v", r)
	}
}

func TestNoReadAheadReadsWhatIsAskedFor(t *testing.T) {
	s := newServer(random(200_000))
	_, _, h := opened(t, Options{NoReadAhead: true}, s)
	for off := int64(0); off < 100_000; off += 1000 {
		mustRead(t, h, off, 1000)
	}
	for i, r := range s.asked() {
		if r != (request{"read", int64(i) * 1000, 1000}) {
			t.Fatalf("asked for %v", r)
		}
	}
}

// A view's bytes are what they were when it was made, whatever happens to the file until its release.
func TestViewDoesNotChange(t *testing.T) {
	s := newServer(random(60_000))
	p, f, h := opened(t, Options{}, s)
	slowIdle(p)
	mustWrite(t, h, bytes.Repeat([]byte("w"), 5000), 10_000)
	v, err := h.Read(context.Background(), 0, 60_000)
	if err != nil {
		t.Fatal(err)
	}
	before := flat(v)
	mustWrite(t, h, bytes.Repeat([]byte("y"), 100), 11_000)
	mustWrite(t, h, bytes.Repeat([]byte("z"), 100), 15_000)
	for range 3 {
		mustWrite(t, h, bytes.Repeat([]byte("x"), 30_000), 0)
		mustFlush(t, h)
		f.Drop()
		mustRead(t, h, 0, 60_000)
	}
	if !bytes.Equal(flat(v), before) {
		t.Fatal("the bytes of a view have changed")
	}
	v.Release()
	if s := h.pool.Stats(); s.Dirty != 0 {
		t.Fatalf("%+v", s)
	}
}

func TestManyReadersSeeTheSame(t *testing.T) {
	data := random(3 << 20)
	s := newServer(data)
	s.delay = func() time.Duration { return time.Duration(time.Now().UnixNano() % int64(2*time.Millisecond)) }
	s.short = func(n int) int { return n - n/5 }
	p := newPool(t, Options{ReadBudget: 1 << 20})
	f := p.NewFile(nil, int64(len(data)))
	var wg sync.WaitGroup
	errs := make(chan error, 100)
	shared := f.Open(s)
	defer shared.Close()
	for i := range 8 {
		wg.Go(func() {
			h := shared
			if i%2 == 0 {
				h = f.Open(s)
				defer h.Close()
			}
			start := i / 2 * len(data) / 4
			for j := range 20 {
				off := (start + j*(100_000-i)) % len(data)
				v, err := h.Read(context.Background(), int64(off), 100_000)
				if err != nil {
					errs <- err
					return
				}
				if got := flat(v); !bytes.Equal(got, data[off:min(off+100_000, len(data))]) {
					errs <- fmt.Errorf("wrong bytes at %d", off)
				}
				v.Release()
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
}
