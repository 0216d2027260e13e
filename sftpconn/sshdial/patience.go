package sshdial

import (
	"sync"
	"time"
)

// patience is the time limit of a login. It stands still while the user is
// being asked something, and starts afresh with each step of the login.
type patience struct {
	onEnd func() // called once, when the time is up, with no lock held

	mu      sync.Mutex // guards what follows
	timer   *time.Timer
	until   time.Time     // when the time is up; without meaning while paused
	left    time.Duration // what was left when it was paused
	paused  bool
	stopped bool
	ended   bool
}

func newPatience(d time.Duration, onEnd func()) *patience {
	p := &patience{onEnd: onEnd, until: time.Now().Add(d)}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer = time.AfterFunc(d, p.ring)
	return p
}

// ring is called by the timer. It does nothing if restart or pause were called too late
// to stop the timer.
func (p *patience) ring() {
	p.mu.Lock()
	if p.paused || p.stopped || p.ended {
		p.mu.Unlock()
		return
	}
	if left := time.Until(p.until); left > 0 {
		p.timer.Reset(left)
		p.mu.Unlock()
		return
	}
	p.ended = true
	p.mu.Unlock()
	p.onEnd()
}

// restart gives the next step of the login d from now.
func (p *patience) restart(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped || p.ended {
		return
	}
	p.left = d
	if !p.paused {
		p.until = time.Now().Add(d)
		p.timer.Reset(d)
	}
}

func (p *patience) pause() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.paused || p.stopped || p.ended {
		return
	}
	p.paused = true
	p.left = max(time.Until(p.until), time.Second)
	p.timer.Stop()
}

func (p *patience) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.paused || p.stopped || p.ended {
		return
	}
	p.paused = false
	p.until = time.Now().Add(p.left)
	p.timer.Reset(p.left)
}

// stop ends the limit; it reports whether the time was up before.
func (p *patience) stop() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	p.timer.Stop()
	return p.ended
}
