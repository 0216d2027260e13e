package sftptest

import (
	"slices"
	"time"
)

type heldPacket struct {
	Packet
	release func()
}

// Held are the packets that Hold has kept, in the order of their coming.
func (t *Tap) Held() []Packet {
	t.mu.Lock()
	defer t.mu.Unlock()
	packets := make([]Packet, len(t.held))
	for i, h := range t.held {
		packets[i] = h.Packet
	}
	return packets
}

// WaitHeld waits until n packets are held, and says whether that came to pass in time.
func (t *Tap) WaitHeld(n int, timeout time.Duration) bool {
	deadline := time.After(timeout)
	for {
		t.mu.Lock()
		enough, changed := len(t.held) >= n, t.changed
		t.mu.Unlock()
		if enough {
			return true
		}
		select {
		case <-changed:
		case <-deadline:
			return false
		}
	}
}

// Release lets held packets go: those with the given positions in Held, in the
// order given (then the others stay held); or all in order, where none is given.
// All includes a packet about which a hook is deciding meanwhile: nobody would
// release it later.
func (t *Tap) Release(positions ...int) {
	t.mu.Lock()
	held := t.held
	var stay []heldPacket
	if len(positions) == 0 {
		t.emptied++
		positions = make([]int, len(held))
		for i := range positions {
			positions[i] = i
		}
	}
	for i, h := range held {
		if !slices.Contains(positions, i) {
			stay = append(stay, h)
		}
	}
	t.held = stay
	t.mu.Unlock()
	for _, i := range positions {
		held[i].release()
	}
}

// keep holds a packet that came when emptied was what it says.
func (t *Tap) keep(p Packet, emptied int, release func()) {
	t.mu.Lock()
	if t.emptied != emptied {
		t.mu.Unlock()
		release()
		return
	}
	defer t.mu.Unlock()
	t.held = append(t.held, heldPacket{p, release})
	close(t.changed)
	t.changed = make(chan struct{})
}
