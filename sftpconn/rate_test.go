package sftpconn

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sshmount/sftpconn/transport"
)

// simLine answers requests of so many bytes: each gap after the one before, and a round trip after it was sent at the
// earliest. Every period it holds its answers back for pause, and gives them all at once then.
type simLine struct {
	bytes                   int
	rtt, gap, period, pause time.Duration

	mu    sync.Mutex
	began time.Time
	last  time.Time
}

// due is when what is sent now is answered.
func (l *simLine) due() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := time.Now().Add(l.rtt)
	if next := l.last.Add(l.gap); next.After(at) {
		at = next
	}
	l.last = at
	if l.period > 0 {
		if since := at.Sub(l.began) % l.period; since < l.pause {
			at = at.Add(l.pause - since)
		}
	}
	return at
}

// load has so many requests under way on p at a time, for so long.
func (l *simLine) load(t *testing.T, p *pacer, requests int, long time.Duration) {
	l.began = time.Now()
	var wg sync.WaitGroup
	for range requests {
		wg.Go(func() {
			for time.Since(l.began) < long {
				g, err := p.acquire(t.Context(), want{n: l.bytes, whole: true})
				if err != nil {
					t.Error(err)
					return
				}
				sent := time.Now()
				time.Sleep(time.Until(l.due()))
				took := time.Since(sent)
				p.l.rtt.add(took)
				p.release(g, int(g.n), took)
			}
		})
	}
	wg.Wait()
}

// watch is load, with a look at p every so often. p.mu is held meanwhile.
func (l *simLine) watch(t *testing.T, p *pacer, requests int, long, step time.Duration, look func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.load(t, p, requests, long)
	}()
	for over := false; !over; {
		select {
		case <-done:
			over = true
		case <-time.After(step):
		}
		p.mu.Lock()
		look()
		p.mu.Unlock()
	}
}

// A server that is busy now and then answers what has come meanwhile all at once. That is not how fast the line is.
func TestAnswersThatWereHeldBackSayNothingOfTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := underStub(t, stubDialer).allLinks()[0]
		sim := &simLine{bytes: maxPiece, rtt: 50 * time.Millisecond, gap: 2500 * time.Microsecond, period: 230 * time.Millisecond, pause: 60 * time.Millisecond}
		const rate = maxPiece / 2.5e-3
		l.rtt.add(sim.rtt)
		l.nBulk.Store(aloneChannels)
		most, last := 0.0, 0.0
		sim.watch(t, &l.write, 80, time.Minute, sim.rtt, func() {
			last = l.write.rate()
			most = max(most, last)
		})
		// What a round happens to find of the answers held back makes it differ by a third or so. Taken for the rate of
		// the line, they would make it twice as fast.
		if last < rate*0.8 || most > rate*1.6 {
			t.Errorf("up to %.0f and at last %.0f MB/s measured of a line with %.0f", most/1e6, last/1e6, rate/1e6)
		}
	})
}

// A file that keeps within the windows of its channels leaves nothing waiting; the line is full all the same.
func TestTheStartEndsAlthoughNothingWaitsHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := underStub(t, stubDialer).allLinks()[0]
		sim := &simLine{bytes: maxPiece, rtt: 50 * time.Millisecond, gap: 2 * time.Millisecond}
		l.rtt.add(sim.rtt)
		l.nBulk.Store(7)
		sim.load(t, &l.write, int(7*carried/maxPiece)-1, 2*time.Second)
		l.write.mu.Lock()
		defer l.write.mu.Unlock()
		if n := l.write.target(); l.write.starting || n > 12<<20 {
			t.Errorf("after two seconds %d KiB may be in flight on a line that holds 6400; starting: %v", n>>10, l.write.starting)
		}
	})
}

// What a line was seen to carry stays known while a program asks for little.
func TestLittleTrafficSaysNothingOfTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := underStub(t, stubDialer).allLinks()[0]
		sim := &simLine{bytes: minPiece, rtt: 50 * time.Millisecond, gap: 13 * time.Millisecond}
		const rate = minPiece / 13e-3
		l.rtt.add(sim.rtt)
		for _, requests := range []int{30, 1} {
			sim.load(t, &l.write, requests, 5*time.Second)
			l.write.mu.Lock()
			if got := l.write.rate(); got < rate*0.8 || got > rate*1.3 {
				t.Errorf("%.2f MB/s measured with %d requests at a time on a line with %.2f", got/1e6, requests, rate/1e6)
			}
			l.write.mu.Unlock()
		}
	})
}

// A server near by that stands still for a moment must not find more behind it then: what its sshd has to keep it copies each time.
func TestNoMoreIsWrittenToAServerNearByForItsBeingLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := underStub(t, stubDialer).allLinks()[0]
		sim := &simLine{bytes: maxPiece, rtt: 200 * time.Microsecond, gap: 800 * time.Microsecond, period: 230 * time.Millisecond, pause: 60 * time.Millisecond}
		l.rtt.add(sim.rtt)
		l.nBulk.Store(1)
		most, late := int64(0), 0
		// So often that the answers that were late are looked at before the next that isn't.
		sim.watch(t, &l.write, 80, 2*time.Second, sim.gap/8, func() {
			most, late = max(most, l.write.inFlight), max(late, l.write.late)
		})
		if late < lateMany {
			t.Fatal("no answer was late")
		}
		if most > lanWrites+2*maxPiece {
			t.Errorf("%d KiB were in flight", most>>10)
		}
	})
}

// Through another host the answers of a server near by may come several at once, up to 40 ms late. With no more under way than
// keeps a server busy that is reached directly, the line would have nothing to do meanwhile.
func TestEnoughIsWrittenThroughAHostThatHoldsAnswersBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		relayed := func(context.Context) (transport.Transport, error) {
			s := newStub(false)
			s.info.Relayed = true
			return s, nil
		}
		l := underStub(t, relayed).allLinks()[0]
		sim := &simLine{bytes: maxPiece, rtt: 200 * time.Microsecond, gap: 800 * time.Microsecond, period: 40 * time.Millisecond, pause: 39 * time.Millisecond}
		l.rtt.add(sim.rtt)
		l.nBulk.Store(nearChannels)
		const long = 2 * time.Second
		sim.load(t, &l.write, 80, long)
		l.write.mu.Lock()
		defer l.write.mu.Unlock()
		if rate := float64(l.write.delivered) / long.Seconds(); rate < 60e6 {
			t.Errorf("%.0f MB/s were written", rate/1e6)
		}
	})
}

// Many extents of a file are asked for in the order in which a program reads them, each in several requests. Where answers come
// several at once, more of them have begun than one: each is finished before those behind it.
func TestWhatWasAskedForFirstIsReadFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := underStub(t, stubDialer).allLinks()[0]
		sim := &simLine{bytes: minPiece, rtt: 50 * time.Millisecond, gap: 13 * time.Millisecond, period: 330 * time.Millisecond, pause: 80 * time.Millisecond}
		l.rtt.add(sim.rtt)
		sim.load(t, &l.read, 30, 5*time.Second) // so that the rate is known, and requests are small
		sim.began = time.Now()
		const extents, pieces = 200, 8
		var mu sync.Mutex // guards left and atOnce
		atOnce := 0       // extents that may begin before the rest of the first is asked for, by the largest limit so far
		look := func() {
			l.read.mu.Lock()
			defer l.read.mu.Unlock()
			if atOnce = max(atOnce, int(l.read.limit()/minPiece)+4); atOnce > extents/4 {
				t.Errorf("%d requests may be in flight", atOnce)
			}
		}
		look()
		left := make([]int, extents)
		var wg sync.WaitGroup
		for i := range extents {
			left[i] = pieces
			order := nextOrder()
			wg.Go(func() {
				for range pieces {
					g, err := l.read.acquire(t.Context(), want{n: minPiece, order: order})
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					look() // a probe allows more for a while
					left[i]--
					for before := range left[:max(i-atOnce, 0)] {
						if left[before] > 0 {
							t.Errorf("extent %d is asked for while %d of %d requests of extent %d are not", i, left[before], pieces, before)
							break
						}
					}
					mu.Unlock()
					sent := time.Now()
					wg.Go(func() {
						time.Sleep(time.Until(sim.due()))
						l.read.release(g, int(g.n), time.Since(sent))
					})
				}
			})
			synctest.Wait()
		}
		wg.Wait()
	})
}
