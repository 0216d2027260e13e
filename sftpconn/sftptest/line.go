package sftptest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sshmount/sftpconn/transport"
)

var (
	_ = (transport.Transport)((*line)(nil))
	_ = (transport.Channel)((*lineChannel)(nil))
)

// line is one connection to a Server.
type line struct {
	s        *Server
	received atomic.Int64  // when the last byte came, in nanoseconds since 1970
	done     chan struct{} // closed by end

	mu       sync.Mutex // guards what follows; taken before Server.mu
	err      error
	channels map[*lineChannel]bool
}

func newLine(s *Server) *line {
	l := &line{s: s, done: make(chan struct{}), channels: make(map[*lineChannel]bool)}
	l.received.Store(time.Now().UnixNano())
	return l
}

func (l *line) OpenChannel(ctx context.Context) (transport.Channel, error) {
	if l.s.pass(ctx.Done(), l.done) != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, l.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return nil, l.err
	}
	if l.s.maxChannels > 0 && len(l.channels) >= l.s.maxChannels {
		return nil, transport.ErrNoMoreChannels
	}
	p, err := startProcess(l.s)
	if err != nil {
		return nil, err
	}
	c := &lineChannel{l: l, Channel: p, closed: make(chan struct{})}
	if l.s.tap != nil {
		c.Channel = l.s.tap.Wrap(p)
	}
	l.channels[c] = true
	l.received.Store(time.Now().UnixNano())
	return c, nil
}

func (l *line) Probe(ctx context.Context) error {
	if l.s.noProbe {
		return transport.ErrNoProbe
	}
	if l.s.pass(ctx.Done(), l.done) != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := l.Err(); err != nil {
		return err
	}
	l.received.Store(time.Now().UnixNano())
	return nil
}

func (l *line) LastReceived() time.Time { return time.Unix(0, l.received.Load()) }
func (l *line) Done() <-chan struct{}   { return l.done }

func (l *line) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

func (l *line) Close() error {
	l.end(errors.New("connection was closed"))
	return nil
}

func (l *line) Info() transport.Info {
	return transport.Info{Client: "test", Remote: l.s.program, User: "test"}
}

// end breaks the line; the first reason counts. It returns when the processes are dead.
func (l *line) end(err error) {
	l.mu.Lock()
	if l.err == nil {
		l.err = err
		close(l.done)
	}
	channels := slices.Collect(maps.Keys(l.channels))
	l.mu.Unlock()
	for _, c := range channels {
		c.Close()
	}
	l.s.forget(l)
}

// lineChannel is a channel whose bytes pass the line.
type lineChannel struct {
	l *line
	transport.Channel
	closed chan struct{} // closed by Close
	once   sync.Once
	holed  atomic.Bool // bytes were cut off what the server sent: nothing behind them may pass
}

func (c *lineChannel) Read(p []byte) (int, error) {
	if c.holed.Load() {
		<-c.l.done
		return 0, c.reason()
	}
	n, err := c.Channel.Read(p)
	if c.l.s.pass(c.closed, c.l.done) != nil {
		return 0, c.reason()
	}
	ok, cut := c.l.s.spend(n)
	c.holed.Store(ok < n)
	if cut {
		go c.l.s.Cut() // not here: it waits for the processes
		if ok == 0 {
			<-c.l.done
		}
	}
	if ok > 0 {
		c.l.received.Store(time.Now().UnixNano())
		return ok, nil
	}
	if lost := c.l.Err(); lost != nil {
		return 0, lost
	}
	return 0, err
}

func (c *lineChannel) Write(p []byte) (int, error) {
	if c.l.s.pass(c.closed, c.l.done) != nil {
		return 0, c.reason()
	}
	ok, cut := c.l.s.spend(len(p))
	n, err := c.Channel.Write(p[:ok])
	if cut {
		go c.l.s.Cut()
		if ok < len(p) {
			<-c.l.done
			return n, ErrCut
		}
	}
	if lost := c.l.Err(); err != nil && lost != nil {
		return n, lost
	}
	return n, err
}

func (c *lineChannel) reason() error {
	if err := c.l.Err(); err != nil {
		return err
	}
	return errors.New("channel is closed")
}

func (c *lineChannel) Close() error {
	var err error
	c.once.Do(func() {
		close(c.closed)
		err = c.Channel.Close()
		c.l.mu.Lock()
		delete(c.l.channels, c)
		c.l.mu.Unlock()
	})
	return err
}
