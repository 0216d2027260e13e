package sftpconn

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// thinLine carries rate bytes/s each way behind one queue each; requests and answers stand in it with the data of the other direction.
type thinLine struct {
	rtt  time.Duration
	rate float64

	mu   sync.Mutex
	free [2]time.Time // when the way to the server (writing) and that from it (reading) have carried all that is in their queues
}

// pass carries so many bytes one way: it returns when they are there.
func (l *thinLine) pass(way, bytes int) {
	l.mu.Lock()
	now := time.Now()
	if l.free[way].Before(now) {
		l.free[way] = now
	}
	l.free[way] = l.free[way].Add(time.Duration(float64(bytes) / l.rate * float64(time.Second)))
	there := l.free[way].Add(l.rtt / 2)
	l.mu.Unlock()
	time.Sleep(time.Until(there))
}

// ask is a request of so many bytes and its answer.
func (l *thinLine) ask(request, answer int) (took time.Duration) {
	sent := time.Now()
	l.pass(writing, request)
	l.pass(reading, answer)
	return time.Since(sent)
}

// load has p move data, so many requests at a time, and gives the bytes that it has moved.
func (l *thinLine) load(t *testing.T, p *pacer, requests int, long time.Duration) (moved int64) {
	var wg sync.WaitGroup
	var mu sync.Mutex // guards moved
	until := time.Now().Add(long)
	for range requests {
		wg.Go(func() {
			for time.Now().Before(until) {
				g, err := p.acquire(t.Context(), want{n: maxPiece})
				if err != nil {
					t.Error(err)
					return
				}
				const small = 100
				request, answer := small, int(g.n)+small
				if p.dir() == writing {
					request, answer = answer, small
				}
				took := l.ask(request, answer)
				p.l.rtt.add(took)
				p.release(g, int(g.n), took)
				mu.Lock()
				moved += g.n
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return moved
}

// Two copies, one each way, fill the queues before anybody knows how thin the line is. What is measured behind them must not be taken
// for the round trip of the line: more would be sent then, and so on.
func TestTheRoundTripIsNotThatBehindOurOwnQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := underStub(t, stubDialer).allLinks()[0]
		line := &thinLine{rtt: 300 * time.Millisecond, rate: 125e3}
		l.rtt.add(line.rtt)
		const long = 2 * time.Minute
		var wg sync.WaitGroup
		for _, p := range []*pacer{&l.read, &l.write} {
			wg.Go(func() {
				if moved := float64(line.load(t, p, 40, long)); moved < 0.75*line.rate*long.Seconds() {
					t.Errorf("%.0f bytes/s moved of %.0f", moved/long.Seconds(), line.rate)
				}
			})
		}
		var taken, longest time.Duration
		for begun := time.Now(); time.Since(begun) < long-5*time.Second; time.Sleep(time.Second) {
			took := line.ask(100, 100)
			l.rtt.add(took)
			taken = max(taken, l.rtt.get())
			if time.Since(begun) > 20*time.Second {
				longest = max(longest, took)
			}
		}
		// While the line is looked at one request in each direction is on its way, of minPiece: that takes it nearly a round trip.
		if taken > 2*line.rtt {
			t.Errorf("the round trip was taken for %v", taken)
		}
		if longest > 10*line.rtt {
			t.Errorf("a question took %v", longest)
		}
		wg.Wait()
	})
}

// The path to the server has become longer: what was its round trip is never reached again, also while data flows.
func TestALongerPathIsNoticedWhileDataFlows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := underStub(t, stubDialer).allLinks()[0]
		line := &thinLine{rtt: 200 * time.Millisecond, rate: 12.5e6}
		l.rtt.add(20 * time.Millisecond)
		line.load(t, &l.write, 60, 30*time.Second)
		if rtt := l.rtt.get(); rtt < line.rtt || rtt > line.rtt*3/2 {
			t.Errorf("the round trip is taken for %v", rtt)
		}
		const long = 30 * time.Second
		if moved := float64(line.load(t, &l.write, 60, long)); moved < 0.8*line.rate*long.Seconds() {
			t.Errorf("%.1f MB/s moved of %.1f", moved/long.Seconds()/1e6, line.rate/1e6)
		}
	})
}

// Small reads one at a time are data in flight, too.
func TestALongerPathIsNoticedBySmallReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := underStub(t, stubDialer).allLinks()[0]
		line := &thinLine{rtt: 200 * time.Millisecond, rate: 12.5e6}
		l.rtt.add(20 * time.Millisecond)
		line.load(t, &l.read, 1, 15*time.Second)
		if rtt := l.rtt.get(); rtt < line.rtt || rtt > line.rtt*3/2 {
			t.Errorf("the round trip is taken for %v", rtt)
		}
	})
}

// A request that is never answered does not keep the others of its direction back for long.
func TestAnAnswerThatDoesNotComeHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := underStub(t, stubDialer).allLinks()[0]
		line := &thinLine{rtt: 50 * time.Millisecond, rate: 12.5e6}
		l.rtt.add(20 * time.Millisecond)
		stuck, err := l.read.acquire(t.Context(), want{n: minPiece})
		if err != nil {
			t.Fatal(err)
		}
		const long = time.Minute
		if moved := float64(line.load(t, &l.read, 60, long)); moved < 0.6*line.rate*long.Seconds() {
			t.Errorf("%.1f MB/s moved of %.1f", moved/long.Seconds()/1e6, line.rate/1e6)
		}
		l.read.release(stuck, 0, 0)
	})
}

// Behind a pause the queues are empty, however long ago the round trip was last seen: a stream that begins is not held back.
func TestAStreamBehindAPauseBeginsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := underStub(t, stubDialer).allLinks()[0]
		line := &thinLine{rtt: 50 * time.Millisecond, rate: 125e6}
		l.rtt.add(line.rtt)
		line.load(t, &l.read, 40, 3*time.Second)
		time.Sleep(time.Hour)
		begun := time.Now()
		for range 16 {
			if _, err := l.read.acquire(t.Context(), want{n: 128 << 10}); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begun); took > 0 {
			t.Errorf("2 MiB on a line that holds 6 were asked for after %v", took)
		}
	})
}
