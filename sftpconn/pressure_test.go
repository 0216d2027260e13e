package sftpconn

import (
	"testing"
	"testing/synctest"
	"time"
)

// Opening channels takes several round trips, so as many as a gigabit needs are asked for when the first answer shows where the stream
// will be by then, and not when the window holds it up; but not on a line that the first requests fill.
func TestAStreamHasItsChannelsOpenedFromItsFirstAnswerOn(t *testing.T) {
	const rtt = 50 * time.Millisecond
	for _, line := range []struct {
		name  string
		takes time.Duration // for what is asked for first
		want  int
	}{
		{"1 Gbit/s", rtt + time.Millisecond, 7},
		{"20 Mbit/s", rtt + 52*time.Millisecond, 0},
	} {
		t.Run(line.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := underStub(t, stubDialer).allLinks()[0]
				l.rtt.add(rtt)
				p := &l.read
				if n, _ := p.wanted(); n != 0 {
					t.Errorf("%d channels are wanted before anything is asked for", n)
				}
				g, err := p.acquire(t.Context(), want{n: 128 << 10})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(line.takes)
				p.release(g, int(g.n), rtt)
				if n, _ := p.wanted(); n != line.want {
					t.Errorf("%d channels are wanted after the first answer, want %d", n, line.want)
				}
			})
		})
	}
}

// deliver has so many pieces asked for at once, which come each gap after the one before, the first after a round trip.
func deliver(t *testing.T, p *pacer, pieces int, gap time.Duration) {
	t.Helper()
	var grants []grant
	for range pieces {
		g, err := p.acquire(t.Context(), want{n: maxPiece, whole: true})
		if err != nil {
			t.Fatal(err)
		}
		grants = append(grants, g)
	}
	rtt := p.l.rtt.get()
	for i, g := range grants {
		if i == 0 {
			time.Sleep(rtt)
		} else {
			time.Sleep(gap)
		}
		p.release(g, int(g.n), rtt)
	}
}

// A window lets little be asked for in a round trip, and still the gaps between its answers tell what the line holds.
func TestAnswersRightBehindEachOtherTellTheRateOfTheLine(t *testing.T) {
	const rtt = 150 * time.Millisecond
	for _, line := range []struct {
		name        string
		gap         time.Duration // between answers of maxPiece bytes
		least, most int64         // target afterwards
	}{
		{"1 Gbit/s", 2 * time.Millisecond, 10 << 20, 20 << 20},
		{"100 Mbit/s", 15 * time.Millisecond, 2 << 20, 6 << 20},
	} {
		t.Run(line.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := underStub(t, stubDialer).allLinks()[0]
				l.rtt.add(rtt)
				p := &l.read
				deliver(t, p, 2, line.gap)
				deliver(t, p, 7, line.gap)
				deliver(t, p, 7, line.gap)
				p.mu.Lock()
				defer p.mu.Unlock()
				if n := p.target(); n < line.least || n > line.most {
					t.Errorf("%d bytes may be in flight, want %d to %d", n, line.least, line.most)
				}
			})
		})
	}
}

func TestTheChannelOfNamesCarriesDataWhereNobodyWouldNotice(t *testing.T) {
	for _, line := range []struct {
		name string
		rtt  time.Duration
		rate float64 // bytes/s
		bulk int32
		want bool
	}{
		{"1 Gbit/s at 150 ms, all channels there", 150 * time.Millisecond, 120e6, aloneChannels, true},
		{"1 Gbit/s at 150 ms, others to come", 150 * time.Millisecond, 120e6, aloneChannels - 1, false},
		{"1 Gbit/s at 50 ms", 50 * time.Millisecond, 120e6, aloneChannels, false},
		{"20 Mbit/s at 150 ms", 150 * time.Millisecond, 2.4e6, aloneChannels, false},
	} {
		t.Run(line.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := underStub(t, stubDialer).allLinks()[0]
				l.rtt.add(line.rtt)
				l.nBulk.Store(line.bulk)
				p := &l.write
				p.mu.Lock()
				defer p.mu.Unlock()
				without := p.capacity()
				p.rates[0] = line.rate
				p.lend()
				if got := p.lent.Load(); got != line.want {
					t.Errorf("lent: %v", got)
				}
				if more := p.capacity() - without; more > 0 != line.want {
					t.Errorf("%d bytes more may be in flight", more)
				}
			})
		})
	}
}

// What arrives at a server at once it copies again and again, so each channel gets its part of what the line holds and no more.
func TestNoMoreIsSentOnAChannelThanItsPartOfTheLine(t *testing.T) {
	const ms = time.Millisecond
	for _, line := range []struct {
		name          string
		rtt           time.Duration
		rate          float64 // bytes/s, measured
		steady        bool    // the start is over
		open, opening int32
		least, most   int64 // what may be in flight to the server on each
	}{
		{"near by", 3 * ms, 0, false, 2, 0, leastWrites, leastWrites},
		{"50 ms, the first channel while others are opened", 50 * ms, 0, false, 1, 6, leastWrites, leastWrites},
		{"50 ms, all are there", 50 * ms, 0, false, 7, 0, 1000 << 10, 1100 << 10},
		{"50 ms, the server grants one", 50 * ms, 0, false, 1, 0, carried, carried},
		{"150 ms", 150 * ms, 0, false, 9, 0, carried, carried},
		{"20 ms, 10 Gbit/s", 20 * ms, 1.2e9, true, 9, 0, carried, carried},
		{"50 ms, 1 Gbit/s", 50 * ms, 120e6, true, 7, 0, 1100 << 10, 1500 << 10},
		{"50 ms, 20 Mbit/s", 50 * ms, 2.4e6, true, 2, 0, carried, carried},
	} {
		t.Run(line.name, func(t *testing.T) {
			l := underStub(t, stubDialer).allLinks()[0]
			l.rtt.add(line.rtt)
			l.nBulk.Store(line.open)
			l.nOpening.Store(line.opening)
			for _, p := range []*pacer{&l.read, &l.write} {
				p.mu.Lock()
				p.rates[0] = line.rate
				p.starting = !line.steady
				p.mu.Unlock()
			}
			if n := l.write.shareNow(); n < line.least || n > line.most {
				t.Errorf("%d KiB to the server, want %d to %d", n>>10, line.least>>10, line.most>>10)
			}
			if n := l.read.shareNow(); n != carried {
				t.Errorf("%d KiB from it, want the whole window", n>>10)
			}
		})
	}
}
