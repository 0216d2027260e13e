package sftpconn

// wanted is how many channels are wanted by those who have so much to move that they will
// be held up by the windows; 0 where no more than there are. wide says whether so much was
// moved that a further connection is worth its login.
func (p *pacer) wanted() (channels int, wide bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return 0, false
	}
	return p.channels(p.target(), p.l.capacity()), p.delivered > widenAfter
}

// channels says how many hold target, and 0 where capacity is enough. With mu held.
func (p *pacer) channels(target, capacity int64) int {
	rtt := p.l.rtt.get()
	held := target >= capacity/2
	if p.starting && rtt > farRTT {
		// Until the channels are there the start has gone on for some round trips.
		soon := p.prompt && p.rate()*rtt.Seconds()*startGain*startGain >= float64(capacity)*heldFrom
		if held || soon {
			return int(p.l.most.Load())
		}
	}
	if !held {
		return 0
	}
	n := int((target*5/4 + window - 1) / window)
	if rtt <= nearRTT {
		n = min(n, nearChannels)
	}
	return n
}

// busy says whether more would only wait.
func (p *pacer) busy() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting > 0 || p.inFlight > min(p.target(), p.l.capacity())/2
}

// pressure says how loaded the pacer is, as a share of what may be in flight; more
// than 1 where requests wait.
func (p *pacer) pressure() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return float64(p.inFlight+p.waiting) / float64(min(p.target(), p.l.capacity()))
}
