package sftpconn

// A pacer may have in flight what fills the line (target), but no more than the windows of the channels carry (capacity), and less while
// the queues are drained (allowed). The number of channels that there should be (channels) follows from the target, too.

const (
	// spareWindow is how many times the target the windows of the channels should hold: they are not full all the time.
	spareWindow = 1.25

	// firstRate is the rate for which a stream that begins has channels opened, in bytes/s: a gigabit, and a fifth more because the
	// first measurements are rough.
	firstRate = 150e6
)

// wanted returns how many channels there should be for requests that are held up by the
// windows; 0 where those that there are suffice. link says whether so much was moved that a
// further link is worth its login.
func (p *pacer) wanted() (channels int, link bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return 0, false
	}
	return p.channels(), p.delivered > addLinkAfter
}

// begins returns how many channels a stream that has just begun may need soon, by what little is known of it; 0 where the start is over,
// or answers come late.
func (p *pacer) begins() (channels int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.starting || p.late >= lateMany {
		return 0
	}
	return p.atOnce()
}

// atOnce returns how many channels a stream that begins gets: as many as a line of firstRate needs, or a faster one if this has proved to
// be. It gets no more, because each is a process on the server, and while that starts many nothing else gets on. With mu held.
func (p *pacer) atOnce() int {
	held := max(p.rate(), firstRate) * (steadyGain*p.l.rtt.get().Seconds() + slack.Seconds())
	return min(int(held*spareWindow/window)+1, int(p.l.most.Load()))
}

// channels returns how many channels the target needs; 0 where the windows of those that there are suffice. With mu held.
func (p *pacer) channels() int {
	rtt, target, windows := p.l.rtt.get(), p.target(), p.windows()
	held := target >= windows/2
	if p.starting && rtt > farRTT {
		// When the channels are open the start has gone on for some round trips.
		soon := p.prompt && p.rate()*rtt.Seconds()*startGain*startGain >= float64(windows)*heldFrom
		if held || soon {
			return p.atOnce()
		}
	}
	if !held {
		return 0
	}
	if p.probing != notProbing {
		target = int64(float64(target) / probeGain) // a probe opens no channels before it has proved useful
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

// pressure is how loaded the pacer is, as a share of what may be in flight; more than
// 1 where requests wait.
func (p *pacer) pressure() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return float64(p.inFlight+p.waiting) / float64(p.limit())
}

// windows is how much the windows of the bulk channels carry in a round trip, in bytes. With mu held.
func (p *pacer) windows() int64 { return p.carry(carried) }

// capacity is how much the bulk channels may carry in a round trip, in bytes (see share). With mu held.
func (p *pacer) capacity() int64 { return p.carry(p.share()) }

// carry is how much the bulk channels carry if each carries n bytes. With mu held.
func (p *pacer) carry(n int64) int64 {
	n *= int64(max(p.l.nBulk.Load(), 1))
	if p.lent.Load() {
		n += lentBytes
	}
	return n
}

// share is how much one bulk channel may carry in a round trip, in bytes. From the server that is its window; to the server, only its part
// of what the line holds (see leastWrites). With mu held.
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

// shareNow is share for a caller that does not hold mu.
func (p *pacer) shareNow() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.share()
}

// limit is how much may be in flight now, in bytes. With mu held.
func (p *pacer) limit() int64 { return min(p.target(), p.capacity()) }

// lend decides whether bulk data may use the channel of names, too. It may where no more channels can be opened and the line is so fast
// that names would not notice. With mu held.
func (p *pacer) lend() {
	p.lent.Store(p.l.nBulk.Load() >= p.l.most.Load() && p.rate()*p.l.rtt.get().Seconds() >= lentBytes*lentTime)
}

// allowed is limit, or less while the queues are drained. With mu held.
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

// pump serves those who wait. It is called after the limit has changed.
func (p *pacer) pump() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.serve()
}
