package sftpconn

import "time"

const (
	// During a start more than startGain times rate × round trip may be in flight where answers that came right behind each other (see
	// burst) show that the line is that much faster than what was asked of it: up to burstGain times as much, or as firstReads. They do
	// when burstLeast bytes have come, each answer within a burstGap-th part of the smallest round trip after the one before.
	burstGain = 9
	burstGap  = 8

	// Answers may take longer than the smallest round trip for other reasons than our own
	// queue (a busy server, radio, other traffic). Then rate × smallest round trip is too
	// little in flight: the rate falls, less is in flight, and so on. So every probeEvery
	// rounds probeGain times as much is tried. Where that moves probeProof times as much it
	// is kept (stretch, up to stretchMost); where not, the stretch shrinks by probeBack.
	probeEvery  = 10
	probeGain   = 1.5
	probeProof  = 1.2
	probeBack   = 0.85
	stretchMost = 16

	// minRound is the shortest round: on a short line a round trip is too short to measure a
	// rate.
	minRound = 20 * time.Millisecond

	// rateRounds is for how many rounds the highest rate is believed.
	rateRounds = 10
)

// burstLeast is how many bytes in a row tell a rate, by direction: two of the first requests, which come behind one more. It is less for
// writing, because the pieces of firstWrites are smaller.
var burstLeast = [2]int64{reading: 384 << 10, writing: 2 * minPiece}

// probeState is how far a pacer is in trying whether more in flight moves more.
type probeState int

const (
	notProbing  probeState = iota
	probeBegins            // more is in flight, but what is delivered was sent before
	probeTells             // what is delivered was sent with more in flight: its rate counts
)

// mark is what a pacer had delivered at some time.
type mark struct {
	delivered int64
	at        time.Time
	sentAt    time.Time // of the pacer then
}

// rateSince is the rate of delivery since m, in bytes/s. Answers that a busy server or line has held back come all at once: they count as
// no faster than their requests were sent.
func (p *pacer) rateSince(m mark, now time.Time) float64 {
	return float64(p.delivered-m.delivered) / max(now.Sub(m.at), p.sentAt.Sub(m.sentAt)).Seconds()
}

// sample learns from a delivery. With mu held.
func (p *pacer) sample(g grant, n int64, now time.Time) {
	p.delivered += n
	p.deliveredAt = now
	p.meter.add(now, n)
	rtt := p.l.rtt.get()
	if p.late == 0 {
		p.burst.add(n, burstLeast[p.dir()], now, rtt)
	}
	p.sentAt = g.at
	elapsed := now.Sub(g.from.at)
	if elapsed <= 0 || elapsed < rtt {
		return
	}
	if g.from.delivered >= p.last.delivered && now.Sub(p.last.at) >= max(rtt, minRound) {
		p.endRound(g.spare, now)
	}
	if p.starting {
		p.learn(p.rateSince(g.from, now), g.spare)
	}
}

// learn notes a rate of this round, in bytes/s. With mu held.
func (p *pacer) learn(rate float64, spare bool) {
	if !spare || rate > p.rate() {
		slot := &p.rates[p.round%rateRounds]
		*slot = max(*slot, rate)
	}
}

// endRound begins the next round, and decides whether the start is over. With mu held.
func (p *pacer) endRound(spare bool, now time.Time) {
	defer p.lend()
	rate := p.rateSince(p.last, now)
	if !p.starting && !spare {
		p.probe(rate)
	}
	if !p.starting {
		p.learn(p.rateSince(p.former, now), spare)
	}
	p.former, p.last = p.last, mark{p.delivered, now, p.sentAt}
	if p.starting && !spare {
		switch rate := p.rate(); {
		case rate > p.fullRate*1.25:
			p.fullRate, p.fullRounds = rate, 0
		case rate*p.l.rtt.get().Seconds()*steadyGain > float64(p.windows()):
			// It is the windows of the channels that hold the stream up, and not the line.
		default:
			p.fullRounds++
			p.starting = p.fullRounds < 3
		}
	}
	if spare && p.waiting == 0 {
		return // keep what was learnt under load: there is none now
	}
	p.round++
	p.rates[p.round%rateRounds] = 0
}

// probe finds out whether more in flight moves more. rate is that of the last round. With mu held.
func (p *pacer) probe(rate float64) {
	switch {
	case p.target() > p.capacity():
		p.probing = notProbing
	case p.probing == notProbing:
		if p.roundRate == 0 {
			p.roundRate = rate
		}
		p.roundRate = (p.roundRate + rate) / 2
		if p.round >= p.probeAt {
			p.probing = probeBegins
		}
	case p.probing == probeBegins:
		p.probing = probeTells
	case rate > max(p.roundRate, p.rate())*probeProof:
		p.stretch = min(p.stretch*probeGain, stretchMost)
		p.roundRate = rate
		p.probing = probeBegins
	default:
		p.stretch = max(p.stretch*probeBack, 1)
		p.probing = notProbing
		p.probeAt = p.round + probeEvery
	}
}

// rate is the highest of the last rateRounds, in bytes/s; 0 where none is known. With mu held.
func (p *pacer) rate() float64 {
	best := 0.0
	for _, r := range p.rates {
		best = max(best, r)
	}
	return best
}

// target is how much should be in flight to fill the line, in bytes, whatever the channels carry. With mu held.
func (p *pacer) target() int64 {
	rate, rtt := p.rate(), p.l.rtt.get()
	if rate == 0 || rtt == 0 {
		return p.firstLimit()
	}
	gain := steadyGain
	if p.starting {
		first := firstReads / rtt.Seconds() // the rate of a first round trip with that in flight
		gain = max(startGain, min(p.burst.rate, burstGain*max(rate, first))/rate)
	}
	gain *= p.stretch
	if p.probing != notProbing {
		gain *= probeGain
	}
	n := int64(rate * (gain*rtt.Seconds() + slack.Seconds()))
	if p.starting && p.round <= 1 && !p.slow {
		n = max(n, p.firstLimit())
	}
	if p.near() {
		n = max(n, nearLimit)
	}
	if p.dir() == writing && rtt <= lanRTT && !p.l.relayed {
		n = min(n, lanWrites)
	}
	return n + int64(p.piece())
}

// near reports whether the two ends are so close that the line between them hardly counts. With mu held.
func (p *pacer) near() bool { return p.l.rtt.get() <= nearRTT && p.late < lateMany }

// firstLimit is how much may be in flight while nothing is known about the line, in bytes. With mu held.
func (p *pacer) firstLimit() int64 {
	if p.dir() == writing && !p.near() {
		return firstWrites
	}
	return firstReads
}

// piece is the size of a request that occupies the line for pieceTime, in bytes. While a
// start goes on and nothing shows that the line is slow, it is maxPiece: the rate may be
// low only because little was asked for. For writing, only a burst shows that. With mu
// held.
func (p *pacer) piece() int {
	fast := p.dir() == reading || p.near() || p.burst.rate > 0
	if p.starting && fast && p.late < lateMany && !p.slow {
		return maxPiece
	}
	n := int(min(p.rate()*pieceTime.Seconds(), maxPiece))
	return max(n/minPiece*minPiece, minPiece)
}

// burst measures answers that came right behind each other. The time that they took shows the rate of the line
// even while windows or limits allow little in a round trip: they are a packet train.
type burst struct {
	rate  float64 // of the fastest that was long enough, in bytes/s; 0 where there was none
	bytes int64   // of the present one, without its first answer
	began time.Time
	last  time.Time
}

// add notes an answer with n bytes; least bytes in a row tell a rate.
func (b *burst) add(n, least int64, now time.Time, rtt time.Duration) {
	if now.Sub(b.last) > rtt/burstGap {
		b.bytes, b.began, b.last = 0, now, now
		return
	}
	b.bytes += n
	b.last = now
	if took := now.Sub(b.began); b.bytes >= least && took > 0 {
		b.rate = max(b.rate, float64(b.bytes)/took.Seconds())
	}
}
