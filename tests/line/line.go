// Package line emulates a long, slow or broken line between a client and a
// server: a TCP proxy whose two directions each have a delay and one bandwidth
// that all connections share, and which fails on command.
//
// # How time passes
//
// A direction of the line is a link with a virtual clock: the moment until which
// it is busy sending what it has already taken. A chunk that is read from its
// sender begins to leave when the link is free, takes size/rate to leave, and
// arrives one delay later. Only arrivals are waited for, so a timer that fires
// late makes one chunk late and costs no bandwidth: the schedule of the next
// chunk does not depend on when the last one was really written.
//
// A link that has taken more than its queue holds reads no more until there is
// room, which the sender's kernel notices as a closed window. No bytes are
// dropped for want of room, since a proxy above TCP has no way to ask for them
// again.
//
// # What is not emulated
//
// Loss, slow start and the receiver's window belong to TCP, which here ends on
// either side of the proxy. A sender can therefore fill the line from its first
// round trip on, which makes the line kinder than a real one to whoever opens
// many connections or only one. What a connection costs to open is emulated:
// the server sees it after one and a half round trips.
package line

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Way is a direction of the line.
type Way int

// Up is from client to server, Down from server to client.
const (
	Up Way = iota
	Down
)

func (w Way) String() string { return [...]string{"up", "down"}[w] }

// Deep as a Queue is one without a useful bound, as in a modem with far too much memory.
const Deep = 64 << 20

// Direction is what one direction of a line is like.
type Direction struct {
	Delay          time.Duration // from one end to the other; half of the round-trip time
	BytesPerSecond int64         // shared by all connections; 0: as fast as this machine can
	Queue          int           // bytes that may wait in front of the link; 0: 50 ms of the rate and at least 64 KiB
	PerConn        int64         // bytes per second of each single connection; 0: no limit
}

// Config describes a line that is alike in both directions, except where Up or Down says otherwise.
type Config struct {
	Delay          time.Duration
	BytesPerSecond int64
	Queue          int
	PerConn        int64

	Up, Down *Direction // replaces the fields above for this direction

	Listen string // address to listen at; default "127.0.0.1:0"
}

func (c Config) direction(w Way) Direction {
	if d := [...]*Direction{c.Up, c.Down}[w]; d != nil {
		return *d
	}
	return Direction{c.Delay, c.BytesPerSecond, c.Queue, c.PerConn}
}

// Stats are counts since the line was made; bytes are those delivered.
type Stats struct {
	Open      int   // connections now
	Accepted  int64 // connections so far
	BytesUp   int64
	BytesDown int64
}

// Line is a running emulator. Its methods may be called from several goroutines.
type Line struct {
	target string
	start  time.Time
	addr   *net.TCPAddr
	holder int // a socket that keeps the port while nothing listens at it

	links    [2]*link
	accepted atomic.Int64
	bytes    [2]atomic.Int64

	wg sync.WaitGroup // accept loops, connections and their pipes

	mu       sync.Mutex // guards what follows; a leaf: nothing is called under it but close of sockets
	listener net.Listener
	conns    map[*conn]struct{}
	faults   faults
	changed  chan struct{} // closed, and replaced, whenever faults change
	closed   bool
}

// New listens for connections and carries them to target ("host:port").
func New(target string, cfg Config) (*Line, error) {
	l := &Line{
		target:  target,
		start:   time.Now(),
		conns:   make(map[*conn]struct{}),
		changed: make(chan struct{}),
	}
	for w := range l.links {
		l.links[w] = newLink(cfg.direction(Way(w)))
	}
	want, err := net.ResolveTCPAddr("tcp", cmp.Or(cfg.Listen, "127.0.0.1:0"))
	if err != nil {
		return nil, fmt.Errorf("line: listen address: %w", err)
	}
	if l.holder, l.addr, err = holdPort(want); err != nil {
		return nil, fmt.Errorf("line: bind %v: %w", want, err)
	}
	if err := l.listen(); err != nil {
		syscall.Close(l.holder)
		return nil, err
	}
	return l, nil
}

// Addr is the "host:port" to connect to instead of the target's.
func (l *Line) Addr() string { return l.addr.String() }

// Port is the port of Addr.
func (l *Line) Port() int { return l.addr.Port }

// Stats tells what the line has carried.
func (l *Line) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Stats{
		Open:      len(l.conns),
		Accepted:  l.accepted.Load(),
		BytesUp:   l.bytes[Up].Load(),
		BytesDown: l.bytes[Down].Load(),
	}
}

// Close resets all connections, and returns when every goroutine of the line has ended.
func (l *Line) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	if l.listener != nil {
		l.listener.Close()
	}
	for c := range l.conns {
		c.reset()
	}
	l.mu.Unlock()
	l.wg.Wait()
	return syscall.Close(l.holder)
}

// listen starts to accept. It is called by New, and after Refuse ends, with mu held or not yet needed.
func (l *Line) listen() error {
	lc := net.ListenConfig{Control: l.socketOptions(Up)}
	ln, err := lc.Listen(context.Background(), "tcp", l.addr.String())
	if err != nil {
		return fmt.Errorf("line: listen at %v: %w", l.addr, err)
	}
	l.listener = ln
	l.wg.Add(1)
	go l.accept(ln)
	return nil
}

// accept ends when its listener is closed.
func (l *Line) accept(ln net.Listener) {
	defer l.wg.Done()
	for {
		nc, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of descriptors, or a client that left before it was accepted
			time.Sleep(time.Millisecond)
			continue
		}
		l.carry(nc.(*net.TCPConn))
	}
}

func (l *Line) carry(client *net.TCPConn) {
	c := newConn(l, client)
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		c.reset()
		return
	}
	l.accepted.Add(1)
	l.conns[c] = struct{}{}
	l.wg.Add(1)
	l.mu.Unlock()
	go func() {
		defer l.wg.Done()
		c.run()
		l.mu.Lock()
		delete(l.conns, c)
		l.mu.Unlock()
	}()
}

// now is the time of the virtual clocks: since the line was made.
func (l *Line) now() time.Duration { return time.Since(l.start) }
