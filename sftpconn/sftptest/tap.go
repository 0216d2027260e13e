package sftptest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"sshmount/sftpconn/transport"
)

// Tap watches and changes what passes on the channels it was put on. One Tap
// may serve several channels and connections; it counts them together.
//
// # Flights
//
// A flight is a group of requests that were sent without waiting for each other.
// It begins with a request, and every request that follows belongs to it, until
// the reply to that first request is handed to the client; the next request
// begins a new flight. So three requests that each wait for the one before are
// three flights, and a window of pipelined requests is one flight a round trip.
//
// A server on the same machine may answer the first request of a group before
// the client has sent the second: set a delay that is long beside what the
// client computes between them (SetDelay; 20 ms or more).
//
// CLOSE begins no flight, because nobody should wait for it (see Uncounted).
type Tap struct {
	mu        sync.Mutex // guards what follows; a leaf, never held during a hook or while bytes move
	began     time.Time
	delay     time.Duration
	onRequest func(Packet) Action
	onReply   func(Packet) Action
	uncounted map[string]bool
	requests  map[string]int
	flights   int
	flight    *request // first request of the flight that is under way; nil where there is none
	toServer  int64
	toClient  int64
	log       []string
	held      []heldPacket
	emptied   int           // how often all that was held has been released
	changed   chan struct{} // closed and made anew when held grows
	channels  int
}

// request is one that the client has sent, as its channel keeps it for the reply.
type request struct{ Packet }

// NewTap makes a tap that only counts.
func NewTap() *Tap {
	t := &Tap{changed: make(chan struct{})}
	t.Uncounted("CLOSE")
	t.Reset()
	return t
}

// Wrap puts the tap on a channel of any kind.
func (t *Tap) Wrap(ch transport.Channel) transport.Channel {
	t.mu.Lock()
	t.channels++
	number := t.channels
	t.mu.Unlock()
	return newTapChannel(t, ch, number)
}

// Dialer puts the tap on every channel of every connection that dial makes.
func (t *Tap) Dialer(dial transport.Dialer) transport.Dialer {
	return func(ctx context.Context) (transport.Transport, error) {
		tr, err := dial(ctx)
		if err != nil {
			return nil, err
		}
		return tapTransport{tr, t}, nil
	}
}

type tapTransport struct {
	transport.Transport
	tap *Tap
}

func (t tapTransport) OpenChannel(ctx context.Context) (transport.Channel, error) {
	ch, err := t.Transport.OpenChannel(ctx)
	if err != nil {
		return nil, err
	}
	return t.tap.Wrap(ch), nil
}

// SetDelay has every reply come d later from now on; requests are not delayed.
// So d is the round-trip time that the client sees.
func (t *Tap) SetDelay(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.delay = d
}

// OnRequest has f decide about each request (and INIT); nil lets all pass. f is
// called by the goroutine that sends, one packet of a channel at a time, and may
// use the Server and the Tap.
func (t *Tap) OnRequest(f func(Packet) Action) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.onRequest = f
}

// OnReply has f decide about each reply of the server (and VERSION); nil lets all
// pass. f may use the Server and the Tap, but a channel's replies stand still meanwhile.
func (t *Tap) OnReply(f func(Packet) Action) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.onReply = f
}

// Uncounted names the requests that begin no flight, instead of CLOSE alone.
func (t *Tap) Uncounted(names ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.uncounted = make(map[string]bool)
	for _, n := range names {
		t.uncounted[n] = true
	}
}

// Reset begins to count anew: the next request begins a flight, also where
// earlier ones are unanswered. Delay, hooks and held packets stay.
func (t *Tap) Reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.began = time.Now()
	t.requests = make(map[string]int)
	t.flights, t.flight = 0, nil
	t.toServer, t.toClient = 0, 0
	t.log = nil
}

// Requests counts the requests by name since Reset ("OPEN", "fsync@openssh.com"; INIT too).
func (t *Tap) Requests() map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.requests)
}

// Count is the number of requests with one of the names.
func (t *Tap) Count(names ...string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, name := range names {
		n += t.requests[name]
	}
	return n
}

// Total is the number of requests since Reset.
func (t *Tap) Total() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, k := range t.requests {
		n += k
	}
	return n
}

// Flights is the number of flights since Reset.
func (t *Tap) Flights() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.flights
}

// Bytes is what has passed since Reset, headers included.
func (t *Tap) Bytes() (toServer, toClient int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.toServer, t.toClient
}

// Log tells each packet since Reset in a line, with its time and flight: what a
// failing test should print. It ends after 10,000 lines.
func (t *Tap) Log() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.log)
}

// ruling is what applies to a packet by the time at which it came.
type ruling struct {
	hook    func(Packet) Action // nil lets it pass
	delay   time.Duration       // of replies
	emptied int                 // for keep
}

// sent counts a request.
func (t *Tap) sent(r *request, size int) ruling {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requests[r.Name]++
	t.toServer += int64(size)
	if t.flight == nil && !t.uncounted[r.Name] {
		t.flights++
		t.flight = r
	}
	t.note(">", r.Packet)
	return ruling{hook: t.onRequest, emptied: t.emptied}
}

// came notes a reply of the server.
func (t *Tap) came(p Packet, size int) ruling {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.toClient += int64(size)
	t.note("<", p)
	return ruling{hook: t.onReply, delay: t.delay, emptied: t.emptied}
}

// delivered notes that the client is given the reply to r.
func (t *Tap) delivered(r *request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r != nil && t.flight == r {
		t.flight = nil
	}
}

func (t *Tap) currentDelay() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.delay
}

const maxLog = 10000

// note adds a line to the log. With mu held.
func (t *Tap) note(direction string, p Packet) {
	if len(t.log) >= maxLog {
		return
	}
	at := time.Since(t.began).Round(100 * time.Microsecond)
	t.log = append(t.log, fmt.Sprintf("%8s flight %d %s %v", at, t.flights, direction, p))
}
