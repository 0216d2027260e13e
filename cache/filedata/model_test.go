package filedata

import (
	"bytes"
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sshmount/sftpconn"
)

// TestModel does what programs do to one file, through several handles, beside a slice of bytes that has it done to it too,
// on a server whose answers are late, short, out of order, and lost with the line.
func TestModel(t *testing.T) { rapid.Check(t, modelRun) }

func FuzzModel(f *testing.F) { f.Fuzz(rapid.MakeFuzz(modelRun)) }

// modelled is a file, what programs have of it open, and the bytes that it has to hold.
type modelled struct {
	ctx     context.Context
	p       *Pool
	s       *server
	f       *File
	handles []*Handle
	want    []byte
	times   *sftpconn.Attr // nil where a write came after them
	breaks  atomic.Int32   // how many requests are still to fail with the line
	lost    lost
}

func modelRun(t *rapid.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	m := newModelled(ctx, t)
	defer m.p.Close()
	defer func() {
		for _, h := range m.handles {
			h.Close()
		}
	}()
	stop := make(chan struct{})
	var readers sync.WaitGroup
	defer readers.Wait()
	defer close(stop)
	for range rapid.IntRange(0, 2).Draw(t, "readers") {
		readers.Add(1)
		h := m.f.Open(m.s)
		go func() {
			defer readers.Done()
			defer h.Close()
			m.readBeside(t, h, stop)
		}()
	}
	t.Repeat(map[string]func(*rapid.T){
		"write":       m.write,
		"write on":    m.writeOn,
		"append":      m.append,
		"read":        m.read,
		"read on":     m.readOn,
		"truncate":    m.truncate,
		"flush":       m.flush,
		"sync":        m.sync,
		"drop":        func(*rapid.T) { m.f.Drop() },
		"changed":     func(*rapid.T) { m.f.Changed() },
		"times":       m.setTimes,
		"reopen":      m.reopen,
		"preload":     m.preload,
		"remote size": m.remoteSize,
		"break":       func(t *rapid.T) { m.breaks.Store(int32(rapid.IntRange(1, 3).Draw(t, "requests"))) },
		"":            m.checkSize,
	})
	m.checkEnd(t)
}

func newModelled(ctx context.Context, t *rapid.T) *modelled {
	m := &modelled{ctx: ctx}
	m.p = NewPool(Options{
		ReadBudget:  int64(rapid.SampledFrom([]int{16 << 10, 1 << 20}).Draw(t, "read budget")),
		WriteBudget: int64(rapid.SampledFrom([]int{16 << 10, 1 << 20}).Draw(t, "write budget")),
		SyncWrites:  rapid.IntRange(0, 9).Draw(t, "sync") == 0,
		NoReadAhead: rapid.IntRange(0, 4).Draw(t, "no read-ahead") == 0,
		Lost:        m.lost.add,
	})
	m.p.retry = time.Millisecond

	m.want = random(rapid.IntRange(0, 60_000).Draw(t, "size"))
	m.s = newServer(bytes.Clone(m.want))
	m.s.maxRead = rapid.SampledFrom([]int{700, 4096, 9000, 64 << 10}).Draw(t, "max read")
	m.s.maxWrite = rapid.SampledFrom([]int{700, 4096, 9000, 64 << 10}).Draw(t, "max write")
	if slow := rapid.IntRange(0, 2).Draw(t, "slow"); slow > 0 {
		m.s.delay = func() time.Duration { return time.Duration(rand.IntN(300*slow)) * time.Microsecond }
	}
	if rapid.Bool().Draw(t, "short") {
		m.s.short = func(n int) int { return 1 + rand.IntN(n) }
	}
	// A line that breaks makes a request fail that may have been done or not.
	m.s.gate = func(_ context.Context, r request) error {
		if r.op != "read" && m.breaks.Load() > 0 && m.breaks.Add(-1) >= 0 {
			return sftpconn.ErrUnreachable
		}
		return nil
	}

	m.f = m.p.NewFile(nil, int64(len(m.want)))
	m.handles = []*Handle{m.f.Open(m.s), m.f.Open(m.s)}
	return m
}

// readBeside reads here and there: it sees no errors, and nothing longer than the file ever was.
func (m *modelled) readBeside(t *rapid.T, h *Handle, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		v, err := h.Read(m.ctx, rand.Int64N(70_000), 1+rand.IntN(20_000))
		if err != nil {
			if m.ctx.Err() == nil {
				t.Errorf("a parallel reader: %v", err)
			}
			return
		}
		flat(v)
		v.Release()
	}
}

func (m *modelled) handle(t *rapid.T) *Handle { return rapid.SampledFrom(m.handles).Draw(t, "handle") }

func (m *modelled) offset(t *rapid.T) int64 {
	if rapid.Bool().Draw(t, "near the end") {
		return max(0, int64(len(m.want))+int64(rapid.IntRange(-5000, 5000).Draw(t, "from the end")))
	}
	return int64(rapid.IntRange(0, 80_000).Draw(t, "offset"))
}

func drawBytes(t *rapid.T) []byte {
	n := rapid.SampledFrom([]int{1, 100, 4096, 9000, 30_000}).Draw(t, "about")
	n = rapid.IntRange((n+1)/2, n).Draw(t, "n")
	b := make([]byte, n)
	fill := byte(rapid.IntRange(1, 255).Draw(t, "fill"))
	for i := range b {
		b[i] = fill + byte(i%7)
	}
	return b
}

func (m *modelled) resize(n int) {
	if n <= len(m.want) {
		m.want = m.want[:n:n]
	} else {
		m.want = append(m.want, make([]byte, n-len(m.want))...)
	}
}

func (m *modelled) put(b []byte, off int64) {
	if end := int(off) + len(b); end > len(m.want) {
		m.resize(end)
	}
	copy(m.want[off:], b)
	m.times = nil
}

func (m *modelled) checkRead(t *rapid.T, h *Handle, off int64, n int) {
	v, err := h.Read(m.ctx, off, n)
	if err != nil {
		t.Fatalf("read %d at %d: %v", n, off, err)
	}
	got := flat(v)
	v.Release()
	want := m.want[min(int(off), len(m.want)):min(int(off)+n, len(m.want))]
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

func (m *modelled) checkSize(t *rapid.T) {
	if n, _ := m.f.Size(); n != int64(len(m.want)) {
		t.Fatalf("the size is %d, should be %d", n, len(m.want))
	}
}

// checkEnd looks at what there is when all is saved.
func (m *modelled) checkEnd(t *rapid.T) {
	if err := m.p.Flushed(m.ctx); err != nil {
		t.Fatalf("drain: %v", err)
	}
	if got := m.s.content(); !bytes.Equal(got, m.want) {
		t.Fatalf("the server has %d bytes, other than the %d written", len(got), len(m.want))
	}
	if m.times != nil && (m.s.times == nil || m.s.times.Mtime != m.times.Mtime) {
		t.Fatalf("times on the server are %v, should be %v", m.s.times, m.times)
	}
	if m.s.overlap != "" {
		t.Fatalf("in flight together: %s", m.s.overlap)
	}
	if st := m.p.Stats(); st.Dirty != 0 || st.DirtyFiles != 0 || !st.OldestDirty.IsZero() {
		t.Fatalf("after a drain: %+v", st)
	}
	if l := m.lost.all(); len(l) > 0 {
		t.Fatalf("bytes were lost: %v", l)
	}
}
