package line

import (
	"sync"
	"time"
)

const (
	chunkMax  = 64 << 10
	chunkMin  = 1448 // what a packet of an Ethernet carries
	smallRead = 8 << 10
)

// link is one direction of the line, shared by all its connections.
type link struct {
	mu   sync.Mutex // guards what follows; a leaf
	dir  Direction
	free time.Duration // when the last byte taken so far will have left
}

func newLink(d Direction) *link { return &link{dir: d} }

func (k *link) set(d Direction) {
	k.mu.Lock()
	k.dir = d
	k.mu.Unlock()
}

func (k *link) get() Direction {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.dir
}

// room says how long a sender must wait until the queue has room for a chunk.
func (k *link) room(now time.Duration) time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.dir.BytesPerSecond == 0 {
		return 0
	}
	return k.free - now - leaves(queue(k.dir), k.dir.BytesPerSecond)
}

// take accepts n bytes that enter at a time, and tells when the last of them arrives.
func (k *link) take(enter time.Duration, n int) (arrives time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.free = max(k.free, enter)
	if k.dir.BytesPerSecond > 0 {
		k.free += leaves(n, k.dir.BytesPerSecond)
	}
	return k.free + k.dir.Delay
}

// leaves is how long n bytes take to leave at a rate in bytes per second.
func leaves(n int, rate int64) time.Duration {
	return time.Duration(float64(n) / float64(rate) * float64(time.Second))
}

func queue(d Direction) int {
	if d.Queue > 0 {
		return d.Queue
	}
	return max(64<<10, int(d.BytesPerSecond/20))
}

// transit bounds the bytes of one connection that are read and not yet delivered:
// the line's own content and, where the receiver does not read, some more.
func transit(d Direction) int64 {
	if d.BytesPerSecond == 0 {
		return Deep
	}
	return int64(queue(d)) + int64(float64(d.BytesPerSecond)*d.Delay.Seconds()) + 4*chunkMax
}

// chunk is how much is read at once: about a millisecond of the slowest limit, so that
// connections take turns as finely as packets would, and no less than a packet.
func chunk(d Direction) int {
	rate := d.BytesPerSecond
	if d.PerConn > 0 && (rate == 0 || d.PerConn < rate) {
		rate = d.PerConn
	}
	if rate == 0 {
		return chunkMax
	}
	return int(min(max(rate/1000, chunkMin), chunkMax))
}

// buffers holds chunks of chunkMax bytes on their way through a line.
var buffers = sync.Pool{New: func() any { return new([chunkMax]byte) }}
