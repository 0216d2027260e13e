package line

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// packet is a chunk on its way, or the end of what is sent.
type packet struct {
	data    []byte
	pooled  *[chunkMax]byte // what data is part of; nil where it is its own
	arrives time.Duration
	end     error // io.EOF: a FIN; anything else: a RST
}

// pipe is one direction of one connection. Its reader takes chunks from the sender and
// puts them on the link; its writer waits for their arrival and hands them over.
type pipe struct {
	conn    *conn
	way     Way
	link    *link
	src     *net.TCPConn
	packets chan packet // closed by read
	transit atomic.Int64
	roomier chan struct{} // one token when transit has shrunk
	free    time.Duration // when the limit per connection lets this one send again; the reader's own
}

func newPipe(c *conn, w Way, src *net.TCPConn) *pipe {
	return &pipe{
		conn:    c,
		way:     w,
		link:    c.line.links[w],
		src:     src,
		packets: make(chan packet, 1024),
		roomier: make(chan struct{}, 1),
	}
}

func (p *pipe) read() {
	defer close(p.packets)
	c, l := p.conn, p.conn.line
	buf := buffers.Get().(*[chunkMax]byte)
	defer func() { buffers.Put(buf) }()
	for {
		dir := p.link.get()
		if !p.waitForRoom(dir) {
			return
		}
		n, err := p.src.Read(buf[:chunk(dir)])
		now := l.now()
		if c.lost[p.way].Load() {
			if err != nil {
				return // nobody is told
			}
			continue
		}
		if n > 0 {
			p.free = max(p.free, now)
			if dir.PerConn > 0 {
				p.free += leaves(n, dir.PerConn)
			}
			// What a client sends before a handshake could have ended waits for that.
			pk := packet{arrives: p.link.take(max(now, c.opened), n)}
			if n <= smallRead {
				pk.data = append([]byte(nil), buf[:n]...)
			} else {
				pk.data, pk.pooled = buf[:n], buf
				buf = buffers.Get().(*[chunkMax]byte)
			}
			p.transit.Add(int64(n))
			if !p.put(pk) {
				return
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
				err = io.ErrUnexpectedEOF
			}
			p.put(packet{arrives: p.link.take(now, 0), end: err})
			return
		}
	}
}

// waitForRoom returns when the connection may send a chunk: the link's queue, the limit of
// this connection, and what may be in transit for it. False when the connection has ended.
func (p *pipe) waitForRoom(dir Direction) bool {
	c := p.conn
	for {
		now := c.line.now()
		if wait := max(p.link.room(now), p.free-now); wait > 0 {
			if !c.sleep(wait) {
				return false
			}
			continue
		}
		if p.transit.Load() < transit(dir) {
			return true
		}
		select {
		case <-p.roomier:
		case <-c.ctx.Done():
			return false
		}
	}
}

func (p *pipe) put(pk packet) bool {
	select {
	case p.packets <- pk:
		return true
	case <-p.conn.ctx.Done():
		return false
	}
}

// write delivers until the reader has ended. After the connection has ended, or where it
// is lost, what still comes is dropped.
func (p *pipe) write() {
	c, l := p.conn, p.conn.line
	dst := c.client
	if p.way == Up {
		<-c.dialed
		dst = c.server
	}
	for pk := range p.packets {
		if dst != nil && c.sleep(pk.arrives-l.now()) {
			p.deliver(dst, pk)
		}
		p.transit.Add(-int64(len(pk.data)))
		select {
		case p.roomier <- struct{}{}:
		default:
		}
		if pk.pooled != nil {
			buffers.Put(pk.pooled)
		}
	}
}

func (p *pipe) deliver(dst *net.TCPConn, pk packet) {
	c, l := p.conn, p.conn.line
	for rest := pk.data; len(rest) > 0 && !c.lost[p.way].Load(); {
		rate, ok := l.pass(c, p.way)
		if !ok || c.lost[p.way].Load() {
			return
		}
		piece := rest
		if rate > 0 {
			const every = 100 * time.Millisecond
			if !c.sleep(every) {
				return
			}
			piece = rest[:min(len(rest), max(1, int(float64(rate)*every.Seconds())))]
		}
		n, err := dst.Write(piece)
		l.bytes[p.way].Add(int64(n))
		if err != nil {
			p.refused(err)
			return
		}
		rest = rest[len(piece):]
	}
	if pk.end == nil || c.lost[p.way].Load() {
		return
	}
	if _, ok := l.pass(c, p.way); !ok || c.lost[p.way].Load() {
		return
	}
	if errors.Is(pk.end, io.EOF) {
		dst.CloseWrite()
	} else {
		c.reset()
	}
}

// refused tells the sender, a delay later, that the receiver has reset the connection.
func (p *pipe) refused(err error) {
	c := p.conn
	back := 1 - p.way
	if errors.Is(err, net.ErrClosed) || c.lost[back].Load() {
		c.lost[p.way].Store(true)
		return
	}
	c.sleep(p.link.get().Delay)
	c.reset()
}
