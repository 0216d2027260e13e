package sftpconn

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// firstReads and firstWrites are the most that is in flight while nothing is known about the line, in bytes. A slow line holds up all
	// that is asked behind it until it has carried that. For writing less is enough: it goes out in pieces of minPiece, whose answers tell
	// how fast the line is (burst). For reading it is what small files need to come in one flight.
	firstReads  = 512 << 10
	firstWrites = 256 << 10

	// startGain is how many times rate × round trip may be in flight while the rate still
	// grows with that, and steadyGain how many times afterwards. What exceeds once fills
	// queues, but without it nobody would notice that the line has become faster.
	startGain  = 3
	steadyGain = 1.25

	// slack is a queue that hurts nobody, whatever the round trip. On a short line it covers
	// the time that the programs at the two ends need.
	slack = 10 * time.Millisecond

	// Within nearRTT the processors of the two ends limit the rate, and the time of a request says little about what the line holds. So
	// nearLimit bytes may be in flight there, for as long as that makes no answer late.
	nearRTT   = 5 * time.Millisecond
	nearLimit = 4 << 20
	// nearChannels is the most bulk channels that are opened within nearRTT. No window holds up a stream on a short line, and each channel
	// is a process that the server has to start.
	nearChannels = 2

	// Within lanRTT one channel carries all that an sshd can move, and two only compete for the processors.
	lanRTT      = time.Millisecond
	lanChannels = 1
	// lanWrites is the most that is in flight to the server within lanRTT, in bytes. There the line is faster than the server's program,
	// and what is in flight fills the buffer that leastWrites is about. This is enough to keep the server busy. It does not apply to a
	// relayed line, on which late answers have another reason: an sshd on the way holds each small packet back until the one before is
	// acknowledged (Nagle's algorithm), which may take a kernel 40 ms unless it has something to send back; with more in flight it has.
	lanWrites = 512 << 10

	// pieceTime is how long one request may occupy the line, so that other requests get in between.
	pieceTime = 12 * time.Millisecond
	// minPiece and maxPiece are the bounds of a piece, in bytes.
	minPiece = 32 << 10
	maxPiece = 256 << 10

	// lateBy is by how much an answer must exceed one and a half of the smallest round trip
	// to count as late.
	lateBy = 40 * time.Millisecond
	// lateMany late answers, less those that were in time, show that the line is slow or full.
	lateMany = 3

	// promptBy is how many eighths of the smallest round trip an answer may take, until its last byte is there, to count as prompt.
	promptBy = 9

	// heldFrom is the share of what the windows carry that must be asked for to have more channels opened during the start of a stream.
	heldFrom = 0.4

	// addLinkAfter is how many bytes a link must have carried in a direction before a further link
	// is made, where the user allows several.
	addLinkAfter = 8 << 20
)

// pacer keeps the bytes in flight of one link and direction near rate × smallest round trip, as BBR does
// (draft-cardwell-iccrg-bbr-congestion-control). The rate is the highest recent rate of delivery. Each request needs a grant (acquire);
// requests that a program waits for get theirs first. rate.go has what a pacer learns about the line, pressure.go what follows from that
// for limits and channels.
type pacer struct {
	l *link

	mu       sync.Mutex // guards what follows; a leaf but for minRTT.mu
	stopped  bool
	inFlight int64 // bytes granted and not released
	of       underWay
	waiting  int64       // bytes asked for and not granted
	front    waitQueue   // of those for whom a program waits
	ahead    waitQueue   // of the others
	timer    *time.Timer // serves those whom a drain holds back; nil where none runs

	// The rate of delivery, measured in rounds of about a round trip.
	delivered   int64               // bytes delivered in all
	deliveredAt time.Time           // of the last delivery
	sentAt      time.Time           // when the last delivered request was granted
	rates       [rateRounds]float64 // highest rate of each round, bytes/s
	round       int                 // number of the present round
	last        mark                // beginning of the present round, which ends with the first delivery of what was granted after it
	former      mark                // beginning of the round before
	meter       meter

	// The start of a stream.
	starting   bool    // the rate still grows with what is in flight, so startGain applies
	fullRate   float64 // the start goes on while a round exceeds this rate by a quarter, in bytes/s
	fullRounds int     // rounds since then that did not
	burst      burst

	// After the start: does more in flight than rate × smallest round trip move more?
	probing   probeState
	probeAt   int     // the round from which the next probe may begin
	roundRate float64 // of the last rounds without a probe, smoothed, in bytes/s
	stretch   float64 // ≥ 1: how many times as much is in flight, because that proved useful

	// Whether answers come late, or with room to spare.
	late   int  // late answers less those in time, kept from 0 to 2×lateMany
	slow   bool // one of these moved so much that its bytes took the time, and no data of the other direction did
	prompt bool // the last answer took little more than the smallest round trip: the line has room

	lent atomic.Bool // see lend; written with mu held
}

// grant is the right to have n bytes in flight.
type grant struct {
	n     int64
	at    time.Time // when it was given
	from  mark      // the last delivery before that
	of    *File     // whose bytes they are; nil where that does not matter
	spare bool      // less was in flight than allowed: its delivery tells nothing about the limit of the line
}

var errLinkOver = errors.New("link is over")

func (p *pacer) start(l *link) {
	p.l = l
	p.starting, p.stretch, p.of = true, 1, underWay{}
	now := time.Now()
	p.deliveredAt, p.sentAt = now, now
	p.last = mark{0, now, now}
	p.former = p.last
}

// stop has all who wait fail with errLinkOver.
func (p *pacer) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	for _, q := range []*waitQueue{&p.front, &p.ahead} {
		for _, w := range *q {
			if !w.gone {
				close(w.ready)
			}
		}
		*q = nil
	}
	p.waiting = 0
	if p.timer != nil {
		p.timer.Stop()
	}
}

// acquire waits until more may be in flight. The grant says how much.
func (p *pacer) acquire(ctx context.Context, ask want) (grant, error) {
	p.mu.Lock()
	if p.stopped {
		p.mu.Unlock()
		return grant{}, errLinkOver
	}
	w := &waiter{want: ask, ready: make(chan grant, 1)}
	q := &p.front
	if ask.ahead {
		q = &p.ahead
	}
	*q = inLine(*q, w)
	p.waiting += int64(w.n)
	more := p.serve()
	full := p.waiting > 0 && p.delivered > addLinkAfter
	p.mu.Unlock()
	if more > 0 {
		p.l.grow(more)
	}
	if full {
		p.l.c.addLink()
	}
	if ask.waits != nil && len(w.ready) == 0 {
		ask.waits()
	}
	select {
	case g, ok := <-w.ready:
		if !ok {
			return grant{}, errLinkOver
		}
		return g, nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	select {
	case g, ok := <-w.ready:
		p.mu.Unlock()
		if ok {
			p.release(g, 0, 0)
		}
	default:
		w.gone = true
		p.waiting -= int64(w.n)
		p.mu.Unlock()
	}
	return grant{}, context.Cause(ctx)
}

// tryAcquire is acquire for a single request of at most n bytes that is to be sent at once or not at all.
func (p *pacer) tryAcquire(n int) (grant, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped || p.waiting > 0 {
		return grant{}, false
	}
	if limit, _ := p.allowed(); p.inFlight > 0 && p.inFlight >= limit {
		return grant{}, false
	}
	return p.grant(int64(min(n, p.piece())), true), true
}

// grant gives the right to have n bytes in flight. With mu held.
func (p *pacer) grant(n int64, spare bool) grant {
	p.inFlight += n
	if p.inFlight == n {
		p.l.rtt.flies(p.dir(), true)
		p.resume()
	}
	return grant{n: n, at: time.Now(), from: mark{p.delivered, p.deliveredAt, p.sentAt}, spare: spare}
}

// resume keeps a pause out of the rates: where the last delivery is long ago, measuring begins anew. With mu held.
func (p *pacer) resume() {
	if time.Since(p.deliveredAt) <= p.l.rtt.get() {
		return
	}
	p.deliveredAt = time.Now()
	p.sentAt = p.deliveredAt
	p.last = mark{p.delivered, p.deliveredAt, p.deliveredAt}
	p.former = p.last
}

// release gives back a grant of which done bytes were delivered. took is how long the
// request was in flight.
func (p *pacer) release(g grant, done int, took time.Duration) {
	now := time.Now()
	p.mu.Lock()
	p.inFlight -= g.n
	p.of.add(g.of, -1)
	if p.inFlight == 0 {
		p.l.rtt.flies(p.dir(), false)
	}
	if done > 0 {
		p.prompt = now.Sub(g.at) <= p.l.rtt.get()*promptBy/8
	}
	if took > p.l.rtt.get()*3/2+lateBy {
		p.late = min(p.late+1, 2*lateMany)
		p.burst = burst{}
		p.slow = p.slow || done >= minPiece && !p.l.rtt.flying(1-p.dir())
	} else if done > 0 {
		p.late = max(p.late-1, 0)
		p.slow = p.slow && p.late > 0
	}
	if done > 0 {
		p.sample(g, int64(done), now)
	}
	more := p.serve()
	p.mu.Unlock()
	if more > 0 {
		p.l.grow(more)
	}
}

// serve grants as much as may be in flight. It returns how many channels should be opened for what still
// waits; 0 where those that there are suffice. With mu held.
func (p *pacer) serve() (channels int) {
	if p.stopped || p.waiting == 0 {
		return 0
	}
	limit, drains := p.allowed()
	if drains && p.timer == nil {
		p.timer = time.AfterFunc(minRound, p.afterDrain)
	}
	for p.inFlight < limit || p.inFlight == 0 {
		w := p.front.take(p.of)
		if w == nil {
			if w = p.ahead.take(p.of); w == nil {
				break
			}
		}
		n := int64(w.n)
		p.waiting -= n
		if !w.whole {
			n = min(n, int64(p.piece()))
		}
		// A file that keeps within its room has nothing waiting here, and yet may come near the limit: then there is nothing to spare.
		near := min(limit/8, 2*maxPiece)
		g := p.grant(n, p.waiting == 0 && p.inFlight+n+near < limit)
		g.of = w.of
		p.of.add(w.of, 1)
		w.ready <- g
	}
	if p.waiting == 0 {
		return 0
	}
	return p.channels()
}
