package filedata

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"
)

// A reader in order comes near the rate of a line with a long way.
func TestReadAheadFillsTheLine(t *testing.T) {
	const size = 48 << 20
	l := &line{size: size, rtt: 100 * time.Millisecond, rate: 100e6}
	p := newPool(t, Options{})
	h := p.NewFile(nil, size).Open(l)
	defer h.Close()
	for off := int64(0); off < size; off += 128 << 10 {
		v, err := h.Read(context.Background(), off, 128<<10)
		if err != nil {
			t.Fatal(err)
		}
		v.Release()
	}
	// Twice what is under way in a round trip is 20 MB; a machine that has other things to do may not get there.
	if most := l.most.Load(); most < 2e6 {
		t.Errorf("at most %d bytes were in flight", most)
	}
	if n := l.requests.Load(); n > size/(128<<10) {
		t.Errorf("%d requests", n)
	}
}

// The window of a stream follows what its reader takes: sixfold in a round trip where that comes at once, and little where the line
// is slow.
func TestAWindowGrowsWithWhatItsReaderTakes(t *testing.T) {
	const rtt, piece = 100 * time.Millisecond, 256 << 10
	at := time.Unix(1_000_000, 0)
	fast := &stream{window: firstWindow, ramping: true, begun: at}
	for range 3 {
		for taken := int64(0); taken < fast.window; taken += piece { // a window's bytes come together, once in a round trip
			fast.fit(at, rtt, rtt)
			fast.taken += piece
			fast.bytes += piece
		}
		at = at.Add(rtt)
		fast.fit(at, rtt, rtt)
		if !fast.ramping {
			t.Fatal("the ramp ended")
		}
		if fast.window > 16<<20 {
			break
		}
	}
	if fast.window < 8<<20 {
		t.Errorf("after three round trips the window is %d bytes", fast.window)
	}

	slow := &stream{window: firstWindow, ramping: true, begun: at}
	for range 40 { // 2.5 MB/s
		slow.fit(at, rtt, rtt)
		slow.taken += piece
		slow.bytes += piece
		at = at.Add(rtt)
		if slow.window > 16<<20 {
			t.Fatalf("the window is %d bytes where a round trip holds %d", slow.window, piece)
		}
	}
	if slow.window != leastWindow {
		t.Errorf("the window ends at %d bytes", slow.window)
	}
}

func TestReadAheadStaysWithinTheBudget(t *testing.T) {
	const budget = 4 << 20
	l := &line{size: 1 << 30, rtt: 20 * time.Millisecond}
	p := newPool(t, Options{ReadBudget: budget})
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			h := p.NewFile(nil, l.size).Open(l)
			defer h.Close()
			for off := int64(0); off < 8<<20; off += 128 << 10 {
				v, err := h.Read(context.Background(), off, 128<<10)
				if err != nil {
					t.Error(err)
					return
				}
				// What is being waited for may be over it.
				if c := p.Stats().Clean; c > budget+6*(512<<10) {
					t.Errorf("%d bytes", c)
				}
				v.Release()
			}
		})
	}
	wg.Wait()
}

// askedFor waits until the server was asked for a byte behind each of offs, and says which offsets were asked for twice.
func askedFor(t *testing.T, s *server, offs ...int64) (twice []request) {
	t.Helper()
	seen := map[int64]bool{}
	eventually(t, "the streams are read ahead", func() bool {
		for _, r := range s.asked() {
			if seen[r.off] {
				twice = append(twice, r)
			}
			seen[r.off] = true
		}
		for _, off := range offs {
			if !seen[off] {
				return false
			}
		}
		return true
	})
	return twice
}

// Reads come as the kernel's threads make them: in one direction, but not in order.
func TestReadsOutOfOrderAreAStream(t *testing.T) {
	data := random(4 << 20)
	s := newServer(data)
	_, _, h := opened(t, Options{}, s)
	const n = 128 << 10
	order := []int{1, 0, 2, 4, 3, 6, 5, 7, 9, 8, 10, 12, 11, 13, 15, 14}
	for _, i := range order {
		if got := mustRead(t, h, int64(i*n), n); !bytes.Equal(got, data[i*n:(i+1)*n]) {
			t.Fatalf("wrong bytes at %d", i*n)
		}
	}
	if twice := askedFor(t, s, 16*n); len(twice) > 0 {
		t.Errorf("twice: %v", twice)
	}
}

func TestInterleavedStreamsOfOneHandle(t *testing.T) {
	s := newServer(make([]byte, 96<<20))
	_, _, h := opened(t, Options{}, s)
	const n = 64 << 10
	for i := range int64(16) {
		for _, from := range []int64{0, 32 << 20, 64 << 20} {
			mustRead(t, h, from+i*n, n)
		}
	}
	if twice := askedFor(t, s, 17*n, 32<<20+17*n, 64<<20+17*n); len(twice) > 0 {
		t.Errorf("twice: %v", twice)
	}
}

func TestBackwardAndStridedReadsAreNotReadAhead(t *testing.T) {
	data := random(8 << 20)
	s := newServer(data)
	_, _, h := opened(t, Options{}, s)
	var offs []int64
	for i := range 20 {
		offs = append(offs, int64(4<<20-i*4096))    // backward
		offs = append(offs, int64(5<<20+i*100_000)) // with gaps
	}
	total := 0
	for _, off := range offs {
		if got := mustRead(t, h, off, 4096); !bytes.Equal(got, data[off:off+4096]) {
			t.Fatalf("wrong bytes at %d", off)
		}
	}
	for _, r := range s.asked() {
		total += r.n
	}
	if total > len(offs)*3*4096 {
		t.Errorf("%d reads of 4 KiB asked for %d bytes", len(offs), total)
	}
}

// A reader that stops gives back what was read ahead for it, and leaves no timer.
func TestIdleReaderCostsNothing(t *testing.T) {
	s := newServer(random(4 << 20))
	p, _, h := opened(t, Options{}, s)
	for off := int64(0); off < 1<<20; off += 64 << 10 {
		mustRead(t, h, off, 64<<10)
	}
	if p.Stats().Clean == 0 {
		t.Fatal("nothing was read ahead")
	}
	p.mu.Lock()
	p.age, p.period = 50*time.Millisecond, 10*time.Millisecond
	p.mu.Unlock()
	p.clear()
	eventually(t, "the memory but what is kept is given back", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		arenas := len(p.slabs.arenas.open) + len(p.slabs.arenas.idle)
		return p.clean == 0 && arenas == keptArenas && len(p.streams) == 0 && p.janitor == nil
	})
	mustRead(t, h, 1<<20, 64<<10)
}

// A server that has just begun is slow to give its first answers, which says nothing about the line.
func TestAWindowIsNoLargerForAServerThatIsSlowToAnswer(t *testing.T) {
	const late, line = 20 * time.Millisecond, 300 * time.Microsecond
	s := &stream{window: firstWindow, ramping: true, taken: 64 << 20, begun: time.Unix(1_000_000, 0)}
	s.fit(s.begun, late, line)
	if most := nearWindow + int64(float64(rampRate)*line.Seconds()); s.window > most {
		t.Errorf("the window is %d bytes, %d are enough", s.window, most)
	}
}
