package filedata

import (
	"context"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"sshmount/sftpconn"
)

// line is a backend that costs nothing but time: a file of size bytes at the end of a line of so many bytes/s (0: no limit),
// whose answers come after rtt.
type line struct {
	size int64
	rtt  time.Duration
	rate float64

	free     atomic.Int64 // when the line has sent what it was given, in ns since 1970
	requests atomic.Int64
	flying   atomic.Int64 // bytes asked for and not there
	most     atomic.Int64 // of flying
}

func (l *line) MaxRead() int       { return 255 << 10 }
func (l *line) MaxWrite() int      { return 255 << 10 }
func (l *line) RTT() time.Duration { return l.rtt }

func (l *line) carry(n int) {
	l.requests.Add(1)
	if now := l.flying.Add(int64(n)); now > l.most.Load() {
		l.most.Store(now)
	}
	defer l.flying.Add(int64(-n))
	if l.rtt == 0 && l.rate == 0 {
		return
	}
	arrives := time.Now().Add(l.rtt / 2)
	if l.rate > 0 {
		for {
			free := l.free.Load()
			end := max(free, arrives.UnixNano()) + int64(float64(n)/l.rate*1e9)
			if l.free.CompareAndSwap(free, end) {
				arrives = time.Unix(0, end)
				break
			}
		}
	}
	time.Sleep(time.Until(arrives.Add(l.rtt / 2)))
}

func (l *line) ReadAt(ctx context.Context, dst []byte, off int64) (int, error) {
	l.carry(len(dst))
	if off >= l.size {
		return 0, io.EOF
	}
	return int(min(int64(len(dst)), l.size-off)), nil
}

func (l *line) ReadGrown(context.Context, []byte, int64) (int, error) { return 0, io.EOF }

func (l *line) WriteAt(ctx context.Context, p []byte, off int64) error {
	l.carry(len(p))
	return nil
}

func (l *line) WriteSetstat(ctx context.Context, p []byte, off int64, a sftpconn.Attr) error {
	return l.WriteAt(ctx, p, off)
}
func (l *line) Setstat(context.Context, sftpconn.Attr) error { return nil }
func (l *line) Fsync(context.Context) error                  { return nil }

func (l *line) FsyncBehind(context.Context, <-chan struct{}, int64) (func() bool, error) {
	return nil, nil
}

func (l *line) StatBehind(context.Context, <-chan struct{}, int64) func() (sftpconn.Attr, bool) {
	return nil
}

func BenchmarkSequentialRead128KiB(b *testing.B) {
	l := &line{size: 1 << 40}
	p := newPool(b, Options{})
	h := p.NewFile(nil, l.size).Open(l)
	defer h.Close()
	ctx := context.Background()
	const n = 128 << 10
	b.SetBytes(n)
	b.ReportAllocs()
	off := int64(0)
	for b.Loop() {
		v, err := h.Read(ctx, off, n)
		if err != nil || v.N != n {
			b.Fatal(v.N, err)
		}
		off += n
		v.Release()
	}
}

func BenchmarkRereadOfBlock(b *testing.B) {
	l := &line{size: 64 << 10}
	p := newPool(b, Options{})
	h := p.NewFile(nil, l.size).Open(l)
	defer h.Close()
	b.ReportAllocs()
	for b.Loop() {
		v, err := h.Read(context.Background(), 4096, 4096)
		if err != nil || v.N != 4096 {
			b.Fatal(v.N, err)
		}
		v.Release()
	}
}

func benchmarkWrite(b *testing.B, n int) {
	l := &line{}
	p := newPool(b, Options{})
	h := p.NewFile(nil, 0).Open(l)
	defer h.Close()
	data := random(n)
	b.SetBytes(int64(n))
	b.ReportAllocs()
	off := int64(0)
	for b.Loop() {
		if err := h.Write(context.Background(), data, off); err != nil {
			b.Fatal(err)
		}
		off += int64(n)
	}
	b.StopTimer()
	mustFlush(b, h)
}

func BenchmarkSequentialWrite4KiB(b *testing.B)   { benchmarkWrite(b, 4<<10) }
func BenchmarkSequentialWrite128KiB(b *testing.B) { benchmarkWrite(b, 128<<10) }
func BenchmarkSequentialWrite1MiB(b *testing.B)   { benchmarkWrite(b, 1<<20) }

// BenchmarkRandomWrite4KiB has no room for merging: each write is an extent of its own.
func BenchmarkRandomWrite4KiB(b *testing.B) {
	l := &line{rtt: time.Millisecond}
	p := newPool(b, Options{})
	h := p.NewFile(nil, 0).Open(l)
	defer h.Close()
	data := random(4 << 10)
	b.SetBytes(4 << 10)
	b.ReportAllocs()
	for i := int64(0); b.Loop(); i++ {
		if err := h.Write(context.Background(), data, i*7919%100_000*8192); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	mustFlush(b, h)
}

// BenchmarkReadOverLine shows how near the reader comes to the line's rate, and what lies on the line for that.
func BenchmarkReadOverLine(b *testing.B) {
	for _, c := range []struct {
		name string
		rtt  time.Duration
		rate float64
	}{
		{"0.2ms", 200 * time.Microsecond, 1.2e9},
		{"10ms", 10 * time.Millisecond, 125e6},
		{"50ms", 50 * time.Millisecond, 125e6},
		{"150ms", 150 * time.Millisecond, 125e6},
		{"50ms-slow", 50 * time.Millisecond, 2.5e6},
	} {
		b.Run(c.name, func(b *testing.B) {
			var most int64
			for b.Loop() {
				size := min(int64(256<<20), int64(c.rate*3))
				l := &line{size: size, rtt: c.rtt, rate: c.rate}
				p := newPool(b, Options{})
				h := p.NewFile(nil, l.size).Open(l)
				for off := int64(0); off < size; off += 128 << 10 {
					v, err := h.Read(context.Background(), off, 128<<10)
					if err != nil {
						b.Fatal(err)
					}
					v.Release()
				}
				h.Close()
				p.Close()
				most = l.most.Load()
				b.SetBytes(size)
			}
			b.ReportMetric(float64(most)/(1<<20), "MiB-in-flight")
		})
	}
}
