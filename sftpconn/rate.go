package sftpconn

import "time"

// sample learns from a delivery. With mu held.
func (p *pacer) sample(g grant, n int64, now time.Time) {
	p.delivered += n
	p.deliveredAt = now
	p.meter.add(now, n)
	rtt := p.l.rtt.get()
	p.burst.add(n, now, rtt)
	elapsed := now.Sub(g.deliveredAt)
	if elapsed <= 0 || elapsed < rtt {
		return
	}
	if g.delivered >= p.roundEnd && now.Sub(p.roundAt) >= max(rtt, minRound) {
		p.endRound(g.spare, now)
	}
	rate := float64(p.delivered-g.delivered) / elapsed.Seconds()
	if !g.spare || rate > p.rate() {
		slot := &p.rates[p.round%rateRounds]
		*slot = max(*slot, rate)
	}
}

// endRound begins the next round, and sees whether the start is over. With mu held.
func (p *pacer) endRound(spare bool, now time.Time) {
	defer p.lend()
	rate := float64(p.delivered-p.roundEnd) / now.Sub(p.roundAt).Seconds()
	p.roundEnd, p.roundAt = p.delivered, now
	if !p.starting && !spare {
		p.probe(rate)
	}
	if p.starting && !spare {
		switch rate := p.rate(); {
		case rate > p.fullRate*1.25:
			p.fullRate, p.fullRounds = rate, 0
		case p.target() > p.capacity():
			// Held up by the windows of the channels, and not by the line.
		default:
			p.fullRounds++
			p.starting = p.fullRounds < 3
		}
	}
	if spare && p.waiting == 0 {
		return // what was learnt under load stays known while there is none
	}
	p.round++
	p.rates[p.round%rateRounds] = 0
}

// probe sees whether more in flight moves more. rate is that of the last round. With mu held.
func (p *pacer) probe(rate float64) {
	switch {
	case p.target() > p.capacity():
		p.probing = 0
	case p.probing == 0:
		if p.roundRate == 0 {
			p.roundRate = rate
		}
		p.roundRate = (p.roundRate + rate) / 2
		if p.round >= p.probeAt {
			p.probing = 1
		}
	case p.probing == 1:
		p.probing = 2 // what has come so far was sent before
	case rate > p.roundRate*probeProof:
		p.stretch = min(p.stretch*probeGain, stretchMost)
		p.roundRate = rate
		p.probing = 1
	default:
		p.stretch = max(p.stretch*probeBack, 1)
		p.probing = 0
		p.probeAt = p.round + probeEvery
	}
}

// rate is the highest of late, in bytes/s; 0 where not known. With mu held.
func (p *pacer) rate() float64 {
	best := 0.0
	for _, r := range p.rates {
		best = max(best, r)
	}
	return best
}

// target is how much the line would hold, in bytes, whatever the channels carry. With mu held.
func (p *pacer) target() int64 {
	rate, rtt := p.rate(), p.l.rtt.get()
	if rate == 0 || rtt == 0 {
		return firstLimit
	}
	gain := steadyGain
	if p.starting {
		gain = min(max(startGain, p.burst.rate/rate), burstGain)
	}
	gain *= p.stretch
	if p.probing > 0 {
		gain *= probeGain
	}
	n := int64(rate * (gain*rtt.Seconds() + slack.Seconds()))
	if p.starting && p.round <= 1 {
		n = max(n, firstLimit)
	}
	switch {
	case !p.near():
	case p == &p.l.write && rtt <= nearWriteRTT:
		n = nearWrites
	default:
		n = max(n, nearLimit)
	}
	return n + int64(p.piece())
}

// near says that the two ends are so close together that the line between them hardly counts. With mu held.
func (p *pacer) near() bool { return p.l.rtt.get() <= nearRTT && p.late < lateMany }

// piece is the size of one request, in bytes, that occupies the line for
// pieceTime. As long as nothing says that the line is slow, it is the largest: a low
// rate may just come of little having been asked for. With mu held.
func (p *pacer) piece() int {
	rate := p.rate()
	if rate == 0 || p.starting && p.late < lateMany {
		return maxPiece
	}
	n := int(min(rate*pieceTime.Seconds(), maxPiece))
	return max(n/minPiece*minPiece, minPiece)
}

// burst is what came right behind each other of late. The time that its bytes took tells the rate of the
// line also while windows or limits let little be asked for in a round trip: as a train of packets does.
type burst struct {
	rate  float64 // of the fastest that was long enough, in bytes/s; 0 where there was none
	bytes int64   // of this one, behind its first answer
	began time.Time
	last  time.Time
}

// add notes an answer with n bytes.
func (b *burst) add(n int64, now time.Time, rtt time.Duration) {
	if now.Sub(b.last) > rtt/burstGap {
		b.bytes, b.began, b.last = 0, now, now
		return
	}
	b.bytes += n
	b.last = now
	if took := now.Sub(b.began); b.bytes >= burstLeast && took > 0 {
		b.rate = max(b.rate, float64(b.bytes)/took.Seconds())
	}
}
