package sftpconn

// A pacer may have in flight what the line would hold (target), but no more than the windows of the channels carry (capacity), and less
// while the queues are to empty (allowed). How many channels there should be comes of what the line would hold, too (channels).

const (
	// spareWindow is how many times what is to be in flight the windows of the channels should hold: they are not full all the time.
	spareWindow = 1.25

	// firstRate is as fast a line as a stream that begins has its channels opened for, in bytes/s: a gigabit, and what one may be
	// taken for when measured in a hurry.
	firstRate = 150e6
)

// wanted is how many channels are wanted by those who have so much to move that they will
// be held up by the windows; 0 where no more than there are. link says whether so much was
// moved that a further link is worth its login.
func (p *pacer) wanted() (channels int, link bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return 0, false
	}
	return p.channels(), p.delivered > addLinkAfter
}

// begins says how many channels may be wanted soon as far as is known, which is not much yet; 0 where something speaks against more.
func (p *pacer) begins() (channels int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.starting || p.late >= lateMany {
		return 0
	}
	return p.atOnce()
}

// atOnce says how many channels a stream that begins gets: what a line of firstRate needs, or one as fast as this has proved to be. Each
// is a process that the server has to start, and while it starts many nothing else gets on. With mu held.
func (p *pacer) atOnce() int {
	held := max(p.rate(), firstRate) * (steadyGain*p.l.rtt.get().Seconds() + slack.Seconds())
	return min(int(held*spareWindow/window)+1, int(p.l.most.Load()))
}

// channels says how many hold what the line would, and 0 where the windows of those there are are enough. With mu held.
func (p *pacer) channels() int {
	rtt, target, windows := p.l.rtt.get(), p.target(), p.windows()
	held := target >= windows/2
	if p.starting && rtt > farRTT {
		// Until the channels are there the start has gone on for some round trips.
		soon := p.prompt && p.rate()*rtt.Seconds()*startGain*startGain >= float64(windows)*heldFrom
		if held || soon {
			return p.atOnce()
		}
	}
	if !held {
		return 0
	}
	if p.probing != notProbing {
		target = int64(float64(target) / probeGain) // it opens nothing before it has proved useful
	}
	n := int(float64(target)*spareWindow/window) + 1
	switch {
	case rtt <= lanRTT:
		n = min(n, lanChannels)
	case rtt <= nearRTT:
		n = min(n, nearChannels)
	}
	return n
}

// pressure says how loaded the pacer is, as a share of what may be in flight; more
// than 1 where requests wait.
func (p *pacer) pressure() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return float64(p.inFlight+p.waiting) / float64(p.limit())
}

// windows is what the windows of the channels would carry in a round trip, in bytes. With mu held.
func (p *pacer) windows() int64 { return p.carry(carried) }

// capacity is what the channels carry in a round trip, in bytes. With mu held.
func (p *pacer) capacity() int64 { return p.carry(p.share()) }

// carry is what the channels carry, each of which carries n bytes. With mu held.
func (p *pacer) carry(n int64) int64 {
	n *= int64(max(p.l.nBulk.Load(), 1))
	if p.lent.Load() {
		n += lentBytes
	}
	return n
}

// share is what one channel for bulk data is to carry in a round trip, in bytes. To the server that is no more than its part of
// what the line holds. With mu held.
func (p *pacer) share() int64 {
	if p.dir() == reading {
		return carried
	}
	open, opening := p.l.nBulk.Load(), p.l.nOpening.Load()
	if open <= 1 && opening > 0 {
		return leastWrites
	}
	rtt := p.l.rtt.get().Seconds()
	held := firstRate * rtt // as long as no more is known of the line, as in atOnce
	if p.starting {
		held = max(held, p.rate()*steadyGain*rtt)
	} else {
		held = max(held, float64(p.target()))
	}
	return min(max(int64(held)/int64(max(open+opening, 1)), leastWrites), carried)
}

// shareNow is share for who does not hold mu.
func (p *pacer) shareNow() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.share()
}

// limit is how much may be in flight now, in bytes. With mu held.
func (p *pacer) limit() int64 { return min(p.target(), p.capacity()) }

// lend decides whether bulk data may use the channel of names, too: where no more channels are to be had, and it would not be
// noticed. With mu held.
func (p *pacer) lend() {
	p.lent.Store(p.l.nBulk.Load() >= p.l.most.Load() && p.rate()*p.l.rtt.get().Seconds() >= lentBytes*lentTime)
}

// allowed is limit, or what a drain leaves of it. With mu held.
func (p *pacer) allowed() (limit int64, drains bool) {
	limit = p.limit()
	switch p.l.rtt.drain() {
	case fullDrain:
		return 0, true
	case halfDrain:
		return min(limit, int64(p.rate()*p.l.rtt.get().Seconds()/2)+minPiece), true
	}
	return limit, false
}

// dir is the direction of the pacer.
func (p *pacer) dir() int {
	if p == &p.l.write {
		return writing
	}
	return reading
}

func (p *pacer) afterDrain() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer = nil
	p.serve()
}

// pump serves those who wait after the limit has changed.
func (p *pacer) pump() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.serve()
}
