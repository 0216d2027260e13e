package line

// faults are what the line suffers from at the moment.
type faults struct {
	stalled   [2]bool
	trickle   [2]int64 // bytes per second of each connection, 0: not trickling
	blackHole bool
	refusing  bool
}

// pass waits until the line lets something through in a direction. It returns the rate
// (bytes per second) where it only trickles, else 0, and false when the connection has ended.
func (l *Line) pass(c *conn, w Way) (rate int64, ok bool) {
	for {
		l.mu.Lock()
		f, changed := l.faults, l.changed
		l.mu.Unlock()
		if c.ctx.Err() != nil {
			return 0, false
		}
		if !f.stalled[w] && !f.blackHole {
			return f.trickle[w], true
		}
		select {
		case <-changed:
		case <-c.ctx.Done():
			return 0, false
		}
	}
}

// change alters the faults and wakes whoever waits for the line, with all connections at hand.
func (l *Line) change(alter func(f *faults, conns map[*conn]struct{})) {
	l.mu.Lock()
	defer l.mu.Unlock()
	alter(&l.faults, l.conns)
	close(l.changed)
	l.changed = make(chan struct{})
}

// Reset ends every connection with a RST to both sides. New ones are carried.
func (l *Line) Reset() {
	l.change(func(_ *faults, conns map[*conn]struct{}) {
		for c := range conns {
			c.reset()
		}
	})
}

// BlackHole lets everything vanish and nobody know. The connections that it has swallowed
// stay lost after Resume, as after a NAT forgot them. Attempts to connect get no answer
// before Resume and are carried from then on, since a real client's kernel repeats them.
func (l *Line) BlackHole() {
	l.change(func(f *faults, conns map[*conn]struct{}) {
		f.blackHole = true
		for c := range conns {
			c.lose(Up)
			c.lose(Down)
		}
	})
}

// HalfOpen loses the answers of every present connection: what the client sends still
// reaches the server, which goes on working, and the client is told nothing. New
// connections work.
func (l *Line) HalfOpen() {
	l.change(func(_ *faults, conns map[*conn]struct{}) {
		for c := range conns {
			c.lose(Down)
		}
	})
}

// ServerGone ends the server's side of every present connection with a RST and tells the
// client nothing: what it sends vanishes. New connections work.
func (l *Line) ServerGone() {
	l.change(func(_ *faults, conns map[*conn]struct{}) {
		for c := range conns {
			c.lose(Up)
			c.lose(Down)
			c.resetServer()
		}
	})
}

func (c *conn) lose(w Way) { c.lost[w].Store(true) }

// Stall holds back what goes one way, without losing it: after Resume it arrives.
func (l *Line) Stall(w Way) {
	l.change(func(f *faults, _ map[*conn]struct{}) { f.stalled[w] = true })
}

// Trickle lets each connection have only so many bytes per second one way (in pieces, ten a second).
func (l *Line) Trickle(w Way, bytesPerSecond int64) {
	l.change(func(f *faults, _ map[*conn]struct{}) { f.trickle[w] = bytesPerSecond })
}

// Refuse has new connections refused by this machine's kernel. Present ones go on.
func (l *Line) Refuse() {
	l.change(func(f *faults, _ map[*conn]struct{}) {
		f.refusing = true
		if l.listener != nil {
			l.listener.Close()
			l.listener = nil
		}
	})
}

// Resume ends stalls, trickles, the black hole and refusals. Connections that were lost stay so.
func (l *Line) Resume() error {
	var err error
	l.change(func(f *faults, _ map[*conn]struct{}) {
		*f = faults{}
		if l.listener == nil && !l.closed {
			err = l.listen()
		}
	})
	return err
}

// Set changes what a direction is like, for what enters it from now on.
func (l *Line) Set(w Way, d Direction) { l.links[w].set(d) }

// Get tells what a direction is like.
func (l *Line) Get(w Way) Direction { return l.links[w].get() }
