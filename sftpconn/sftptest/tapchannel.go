package sftptest

import (
	"slices"
	"sync"
	"time"

	"sshmount/sftpconn/transport"
)

var _ = (transport.Channel)((*tapChannel)(nil))

// tapChannel is one channel under a Tap.
type tapChannel struct {
	transport.Channel // the server's side
	tap               *Tap
	number            int

	partial []byte // of a packet the client is writing; Write's alone
	rest    []byte // of a packet the client is reading; Read's alone

	sendMu sync.Mutex // held while bytes go to the server: whole packets at a time

	mu      sync.Mutex // guards what follows; a leaf
	asked   map[uint32]*request
	replies []reply // by time of delivery
	err     error   // why no reply will come any more

	arrived chan struct{} // capacity 1: replies or err changed
	closed  chan struct{} // closed by Close
	once    sync.Once
}

// reply is bytes for the client, not before a certain time.
type reply struct {
	raw []byte
	at  time.Time
	to  *request // nil where that is not known
}

func newTapChannel(t *Tap, ch transport.Channel, number int) *tapChannel {
	c := &tapChannel{
		Channel: ch,
		tap:     t,
		number:  number,
		asked:   make(map[uint32]*request),
		arrived: make(chan struct{}, 1),
		closed:  make(chan struct{}),
	}
	go c.listen()
	return c
}

// Close ends the goroutine of the channel too: its read fails.
func (c *tapChannel) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Channel.Close()
}

// Write takes bytes from the client. An error of the server's side shows with
// the packet that meets it.
func (c *tapChannel) Write(b []byte) (int, error) {
	c.partial = append(c.partial, b...)
	for {
		packet, rest, ok := splitPacket(c.partial)
		if !ok {
			c.partial = slices.Clone(rest)
			return len(b), nil
		}
		c.partial = rest
		if err := c.request(packet); err != nil {
			return 0, err
		}
	}
}

func (c *tapChannel) request(packet []byte) error {
	r := &request{parsePacket(c.number, packet)}
	c.mu.Lock()
	c.asked[r.ID] = r
	c.mu.Unlock()

	var a Action
	rule := c.tap.sent(r, len(packet)+4)
	if rule.hook != nil {
		a = rule.hook(r.Packet)
	}
	raw := r.raw(r.Body)
	switch a.kind {
	case drop:
		return nil
	case hold:
		c.tap.keep(r.Packet, rule.emptied, func() { c.send(raw) })
		return nil
	case replaceBody:
		raw = r.raw(a.bytes)
	case replaceRaw:
		raw = a.bytes
	case answerStatus:
		c.mu.Lock()
		delete(c.asked, r.ID)
		c.mu.Unlock()
		p := statusReply(r.Packet, a.code, a.msg)
		size := len(p.raw(p.Body))
		delay := c.tap.came(p, size).delay
		c.deliver(reply{raw: p.raw(p.Body), to: r}, delay+a.delay)
		return nil
	}
	if a.delay > 0 {
		time.AfterFunc(a.delay, func() { c.send(raw) })
		return nil
	}
	return c.send(raw)
}

func (c *tapChannel) send(raw []byte) error {
	c.sendMu.Lock()
	defer c.sendMu.Unlock()
	_, err := c.Channel.Write(raw)
	return err
}

// listen takes what the server sends, until its side of the channel ends.
func (c *tapChannel) listen() {
	var stream []byte
	buf := make([]byte, 64<<10)
	for {
		n, err := c.Channel.Read(buf)
		stream = append(stream, buf[:n]...)
		for {
			packet, rest, ok := splitPacket(stream)
			if !ok {
				break
			}
			c.reply(slices.Clone(packet))
			stream = rest
		}
		stream = slices.Clone(stream)
		if err != nil {
			if len(stream) > 0 { // half a packet, or what is none
				c.deliver(reply{raw: stream}, c.tap.currentDelay())
			}
			c.mu.Lock()
			c.err = err
			c.mu.Unlock()
			c.signal()
			return
		}
	}
}

func (c *tapChannel) reply(packet []byte) {
	p := parsePacket(c.number, packet)
	c.mu.Lock()
	r := c.asked[p.ID]
	delete(c.asked, p.ID)
	c.mu.Unlock()
	if r != nil {
		p.Request = &r.Packet
	}
	var a Action
	rule := c.tap.came(p, len(packet)+4)
	if rule.hook != nil {
		a = rule.hook(p)
	}
	out := reply{raw: p.raw(p.Body), to: r}
	switch a.kind {
	case drop:
		return
	case hold:
		c.tap.keep(p, rule.emptied, func() { c.deliver(out, c.tap.currentDelay()) })
		return
	case replaceBody:
		out.raw = p.raw(a.bytes)
	case replaceRaw:
		out.raw = a.bytes
	case answerStatus:
		status := statusReply(Packet{Channel: c.number, ID: p.ID}, a.code, a.msg)
		out.raw = status.raw(status.Body)
	}
	c.deliver(out, rule.delay+a.delay)
}

// deliver puts a reply where Read finds it.
func (c *tapChannel) deliver(r reply, delay time.Duration) {
	r.at = time.Now().Add(delay)
	c.mu.Lock()
	i := len(c.replies)
	for i > 0 && c.replies[i-1].at.After(r.at) {
		i--
	}
	c.replies = slices.Insert(c.replies, i, r)
	c.mu.Unlock()
	c.signal()
}

func (c *tapChannel) signal() {
	select {
	case c.arrived <- struct{}{}:
	default:
	}
}

// Read gives the client what is due.
func (c *tapChannel) Read(b []byte) (int, error) {
	for len(c.rest) == 0 {
		var wait <-chan time.Time
		c.mu.Lock()
		switch {
		case len(c.replies) == 0 && c.err != nil:
			err := c.err
			c.mu.Unlock()
			return 0, err
		case len(c.replies) > 0:
			first := c.replies[0]
			if due := time.Until(first.at); due > 0 {
				wait = time.After(due)
				break
			}
			c.replies = slices.Delete(c.replies, 0, 1)
			c.mu.Unlock()
			c.tap.delivered(first.to)
			c.rest = first.raw
			continue
		}
		c.mu.Unlock()
		select {
		case <-c.arrived:
		case <-wait:
		case <-c.closed:
			return 0, ErrCut
		}
	}
	n := copy(b, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}
