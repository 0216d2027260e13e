package sftpconn

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// firstLimit is in flight at most as long as nothing is known of the line, in bytes.
	firstLimit = 512 << 10

	// startGain and steadyGain are how many times rate × round trip may be in flight:
	// while the rate still grows with it, and then. What is more than once fills
	// queues, but is needed to notice that the line has become faster.
	startGain  = 3
	steadyGain = 1.25

	// slack is a queue that hurts nobody, whatever the round trip: on a short line it
	// covers what the two ends need to think.
	slack = 10 * time.Millisecond

	// Within nearRTT the processors of the two ends are the line, and what they take for a request says little of what
	// a line would hold: nearLimit bytes may be in flight there, for as long as that makes no answer late.
	nearRTT   = 5 * time.Millisecond
	nearLimit = 4 << 20
	// nearChannels is how many channels are opened there. No window holds a stream up on a short line, and each channel
	// is a process on the server that takes its time to start.
	nearChannels = 2

	// Within lanRTT one channel is enough for what any sshd moves, and two of them only take each other's processors.
	lanRTT      = time.Millisecond
	lanChannels = 1
	// There the line is faster than the server's program behind it, and what is in flight fills the buffer of which leastWrites
	// tells. So only lanWrites bytes are on their way to it: enough to keep it busy, and no more for its being late. Through
	// another host answers may be late for another reason: its sshd holds each back until the one before is acknowledged
	// (Nagle's algorithm), and a kernel on the way takes 40 ms for that unless something is sent back meanwhile, as it is where
	// more is on its way.
	lanWrites = 512 << 10

	// pieceTime is how long one request may occupy the line, so that others get in between.
	pieceTime = 12 * time.Millisecond
	// minPiece and maxPiece are the bounds of a piece, in bytes.
	minPiece = 32 << 10
	maxPiece = 256 << 10

	// lateBy is what an answer takes, beyond half a round trip more than the smallest,
	// on a line that is slow or full.
	lateBy = 40 * time.Millisecond
	// lateMany late answers, less those that were not late, say so.
	lateMany = 3

	// promptBy eighths of the smallest round trip are what a prompt answer takes at most, until its last byte.
	promptBy = 9

	// heldFrom is how much of what the windows carry must be asked for, as a share, for more channels to be opened while
	// the start of a stream goes on.
	heldFrom = 0.4

	// addLinkAfter is what one link must have carried in a direction, in bytes, before a further
	// one is made where the user asked for several.
	addLinkAfter = 8 << 20
)

// pacer keeps the bytes in flight of one link and direction near rate × smallest round trip, as BBR does
// (draft-cardwell-iccrg-bbr-congestion-control): the rate is the highest of late at which data was delivered. Who wants to send
// asks first (acquire), and those whom a program waits for go first. What it learns of the line is in rate.go, and what follows
// for limits and channels in pressure.go.
type pacer struct {
	l *link

	mu       sync.Mutex // guards what follows; a leaf but for minRTT.mu
	stopped  bool
	inFlight int64 // bytes granted and not released
	of       underWay
	waiting  int64       // bytes asked for and not granted
	front    waitQueue   // of those for whom a program waits
	ahead    waitQueue   // of the others
	timer    *time.Timer // wakes those held back by a drain; nil where none is set

	// The rate at which data was delivered, in rounds of about a round trip.
	delivered   int64 // bytes, ever
	deliveredAt time.Time
	sentAt      time.Time           // when that was granted which was delivered last
	rates       [rateRounds]float64 // highest of each round, bytes/s
	round       int
	last        mark // where the round began: it ends with the first delivery of what was granted after that
	former      mark // where the round before it began
	meter       meter

	// The start of a stream, and of what it learns.
	starting   bool    // the rate still grows with what is in flight, so that is startGain times as much
	fullRate   float64 // the rate that must be exceeded by a quarter for the start to go on, in bytes/s
	fullRounds int     // rounds in which it was not
	burst      burst

	// Then: does more in flight than rate × smallest round trip move more?
	probing   probeState
	probeAt   int     // the round from which on a probe may begin
	roundRate float64 // smoothed, of the last rounds without a probe, in bytes/s
	stretch   float64 // 1 and more: so many times as much is in flight, because it proved useful

	// Whether answers come late, or with room to spare.
	late   int  // late answers less those in time, kept from 0 to 2×lateMany
	prompt bool // the last answer was there in full after little more than the smallest round trip: the line has room

	lent atomic.Bool // see lend; written with mu held
}

// grant is the right to have n bytes in flight.
type grant struct {
	n     int64
	at    time.Time // when it was given
	from  mark      // the last delivery before
	of    *File     // whose bytes they are; nil where that does not matter
	spare bool      // less was in flight than allowed: it tells nothing about the line's limit
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

// stop lets all who wait go with errLinkOver.
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

// tryAcquire is acquire for a single request of at most n bytes that is sent now or not at all.
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

// resume lets the time before a pause count for nothing. With mu held.
func (p *pacer) resume() {
	if time.Since(p.deliveredAt) <= p.l.rtt.get() {
		return
	}
	p.deliveredAt = time.Now()
	p.sentAt = p.deliveredAt
	p.last = mark{p.delivered, p.deliveredAt, p.deliveredAt}
	p.former = p.last
}

// release gives a grant back, of which done bytes were delivered; took is how long
// the request was under way.
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
	} else if done > 0 {
		p.late = max(p.late-1, 0)
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

// serve hands out what may be in flight. It returns how many channels are wanted for the rest;
// 0 where the windows of those there are will do. With mu held.
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
		// A file that keeps within the windows of its channels has nothing waiting here, and comes near the limit at most.
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
