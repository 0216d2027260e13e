package filedata

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
)

// TestModel does what programs do to one file, through several handles, beside a slice of bytes that has it done to it too,
// on a server whose answers are late, short, out of order, and lost with the line.
func TestModel(t *testing.T) { rapid.Check(t, modelRun) }

func FuzzModel(f *testing.F) { f.Fuzz(rapid.MakeFuzz(modelRun)) }

func modelRun(t *rapid.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	var lastPart lost
	p := NewPool(Options{
		ReadBudget:  int64(rapid.SampledFrom([]int{16 << 10, 1 << 20}).Draw(t, "read budget")),
		WriteBudget: int64(rapid.SampledFrom([]int{16 << 10, 1 << 20}).Draw(t, "write budget")),
		SyncWrites:  rapid.IntRange(0, 9).Draw(t, "sync") == 0,
		NoReadAhead: rapid.IntRange(0, 4).Draw(t, "no read-ahead") == 0,
		Lost:        lastPart.add,
	})
	p.retry = time.Millisecond
	defer p.Close()

	model := random(rapid.IntRange(0, 60_000).Draw(t, "size"))
	s := newServer(bytes.Clone(model))
	s.maxRead = rapid.SampledFrom([]int{700, 4096, 9000, 64 << 10}).Draw(t, "max read")
	s.maxWrite = rapid.SampledFrom([]int{700, 4096, 9000, 64 << 10}).Draw(t, "max write")
	if slow := rapid.IntRange(0, 2).Draw(t, "slow"); slow > 0 {
		s.delay = func() time.Duration { return time.Duration(rand.IntN(300*slow)) * time.Microsecond }
	}
	if rapid.Bool().Draw(t, "short") {
		s.short = func(n int) int { return 1 + rand.IntN(n) }
	}
	// A line that breaks makes a request fail that may have been done or not.
	var breaks atomic.Int32
	s.gate = func(_ context.Context, r request) error {
		if r.op != "read" && breaks.Load() > 0 && breaks.Add(-1) >= 0 {
			return sftpconn.ErrUnreachable
		}
		return nil
	}

	f := p.NewFile(nil, int64(len(model)))
	handles := []*Handle{f.Open(s), f.Open(s)}
	defer func() {
		for _, h := range handles {
			h.Close()
		}
	}()
	var times *sftpconn.Attr // nil where a write came after them

	// Readers beside it see no errors, and nothing longer than the file ever was.
	stop := make(chan struct{})
	var readers sync.WaitGroup
	defer readers.Wait()
	defer close(stop)
	for range rapid.IntRange(0, 2).Draw(t, "readers") {
		readers.Add(1)
		h := f.Open(s)
		go func() {
			defer readers.Done()
			defer h.Close()
			for {
				select {
				case <-stop:
					return
				default:
				}
				v, err := h.Read(ctx, rand.Int64N(70_000), 1+rand.IntN(20_000))
				if err != nil {
					if ctx.Err() == nil {
						t.Errorf("a parallel reader: %v", err)
					}
					return
				}
				flat(v)
				v.Release()
			}
		}()
	}

	handle := func(t *rapid.T) *Handle { return rapid.SampledFrom(handles).Draw(t, "handle") }
	offset := func(t *rapid.T) int64 {
		if rapid.Bool().Draw(t, "near the end") {
			return max(0, int64(len(model))+int64(rapid.IntRange(-5000, 5000).Draw(t, "from the end")))
		}
		return int64(rapid.IntRange(0, 80_000).Draw(t, "offset"))
	}
	bytesOf := func(t *rapid.T) []byte {
		n := rapid.SampledFrom([]int{1, 100, 4096, 9000, 30_000}).Draw(t, "about")
		n = rapid.IntRange((n+1)/2, n).Draw(t, "n")
		b := make([]byte, n)
		fill := byte(rapid.IntRange(1, 255).Draw(t, "fill"))
		for i := range b {
			b[i] = fill + byte(i%7)
		}
		return b
	}
	resize := func(n int) {
		if n <= len(model) {
			model = model[:n:n]
		} else {
			model = append(model, make([]byte, n-len(model))...)
		}
	}
	put := func(b []byte, off int64) {
		if end := int(off) + len(b); end > len(model) {
			resize(end)
		}
		copy(model[off:], b)
		times = nil
	}
	check := func(t *rapid.T, h *Handle, off int64, n int) {
		v, err := h.Read(ctx, off, n)
		if err != nil {
			t.Fatalf("read %d at %d: %v", n, off, err)
		}
		got := flat(v)
		v.Release()
		want := model[min(int(off), len(model)):min(int(off)+n, len(model))]
		if !bytes.Equal(got, want) {
			i := 0
			for i < min(len(got), len(want)) && got[i] == want[i] {
				i++
			}
			t.Fatalf("read %d at %d: got %d bytes, want %d, first difference at %d", n, off, len(got), len(want), i)
		}
		v, ok := h.ReadHere(off, len(want))
		if ok && !bytes.Equal(flat(v), want) {
			t.Fatalf("what is here of %d bytes at %d is not what was read", n, off)
		}
		v.Release()
	}

	t.Repeat(map[string]func(*rapid.T){
		"write": func(t *rapid.T) {
			b, off := bytesOf(t), offset(t)
			if err := handle(t).Write(ctx, b, off); err != nil {
				t.Fatalf("write: %v", err)
			}
			put(b, off)
		},
		"write on": func(t *rapid.T) {
			h, off := handle(t), offset(t)
			for range rapid.IntRange(1, 30).Draw(t, "writes") {
				b := bytesOf(t)[:1]
				b = bytes.Repeat(b, rapid.SampledFrom([]int{10, 512, 4096}).Draw(t, "each"))
				if err := h.Write(ctx, b, off); err != nil {
					t.Fatalf("write: %v", err)
				}
				put(b, off)
				off += int64(len(b))
			}
		},
		"append": func(t *rapid.T) {
			b := bytesOf(t)
			off, err := handle(t).Append(ctx, b)
			if err != nil || off != int64(len(model)) {
				t.Fatalf("append: at %d, %v; the file has %d bytes", off, err, len(model))
			}
			put(b, off)
		},
		"read": func(t *rapid.T) {
			check(t, handle(t), offset(t), rapid.IntRange(1, 40_000).Draw(t, "n"))
		},
		"read on": func(t *rapid.T) {
			h, off, n := handle(t), offset(t), rapid.SampledFrom([]int{512, 4096, 9999}).Draw(t, "n")
			for range rapid.IntRange(1, 10).Draw(t, "reads") {
				check(t, h, off, n)
				off += int64(n)
			}
		},
		"truncate": func(t *rapid.T) {
			n := offset(t)
			err := f.Truncate(ctx, n, func(ctx context.Context) error {
				return s.Setstat(context.WithoutCancel(ctx), sftpconn.Attr{Flags: session.HasSize, Size: uint64(n)})
			})
			if err != nil {
				if breaks.Store(0); len(model) <= int(n) {
					return // nothing has changed
				}
				if err := f.Truncate(ctx, n, func(ctx context.Context) error {
					return s.Setstat(ctx, sftpconn.Attr{Flags: session.HasSize, Size: uint64(n)})
				}); err != nil {
					t.Fatalf("truncate: %v", err)
				}
			}
			resize(int(n))
		},
		"flush": func(t *rapid.T) {
			if err := handle(t).Flush(ctx, rapid.Bool().Draw(t, "for good")); err != nil {
				t.Fatalf("flush: %v", err)
			}
			if got := s.content(); !bytes.Equal(got, model) {
				t.Fatalf("after a flush the server has %d bytes, other than the %d written", len(got), len(model))
			}
		},
		"sync": func(t *rapid.T) {
			if err := handle(t).Sync(ctx); err != nil && !errors.Is(err, sftpconn.ErrUnreachable) {
				t.Fatalf("sync: %v", err)
			}
		},
		"drop":    func(t *rapid.T) { f.Drop() },
		"changed": func(t *rapid.T) { f.Changed() },
		"times": func(t *rapid.T) {
			a := sftpconn.Attr{Flags: session.HasTimes, Mtime: rapid.Uint32().Draw(t, "mtime")}
			if !f.SetTimes(a) {
				s.set(func() { s.times = &a })
			}
			times = &a
		},
		"reopen": func(t *rapid.T) {
			i := rapid.IntRange(0, len(handles)-1).Draw(t, "which")
			handles[i].Close()
			handles[i] = f.Open(s)
		},
		"preload": func(t *rapid.T) {
			if _, dirty := f.Size(); !dirty {
				f.Preload(bytes.Clone(model), int64(len(model)))
			}
		},
		"remote size": func(t *rapid.T) {
			if _, dirty := f.Size(); !dirty {
				f.SetRemoteSize(int64(len(model)))
			}
		},
		"break": func(t *rapid.T) { breaks.Store(int32(rapid.IntRange(1, 3).Draw(t, "requests"))) },
		"": func(t *rapid.T) {
			if n, _ := f.Size(); n != int64(len(model)) {
				t.Fatalf("the size is %d, should be %d", n, len(model))
			}
		},
	})

	if err := p.Flushed(ctx); err != nil {
		t.Fatalf("drain: %v", err)
	}
	if got := s.content(); !bytes.Equal(got, model) {
		t.Fatalf("the server has %d bytes, other than the %d written", len(got), len(model))
	}
	if times != nil && (s.times == nil || s.times.Mtime != times.Mtime) {
		t.Fatalf("times on the server are %v, should be %v", s.times, times)
	}
	if s.overlap != "" {
		t.Fatalf("in flight together: %s", s.overlap)
	}
	if st := p.Stats(); st.Dirty != 0 || st.DirtyFiles != 0 || !st.OldestDirty.IsZero() {
		t.Fatalf("after a drain: %+v", st)
	}
	if l := lastPart.all(); len(l) > 0 {
		t.Fatalf("bytes were lost: %v", l)
	}
}
