package sftpconn

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sshmount/sftpconn/transport"
)

// stubLine is a transport for tests whose time is not that of this machine (testing/synctest), where no process and
// no socket may be waited for. Its server greets, says that it is alive, and answers nothing else.
type stubLine struct {
	pipe bool // it can't be asked whether it is alive, and carries one channel
	born time.Time
	info transport.Info

	channels atomic.Int32  // opened so far
	stalled  time.Duration // how long a channel is not opened; not changed once the line is in use

	arrived atomic.Uint64 // bytes that have been acknowledged
	sending atomic.Uint64 // how many more are on their way

	frozen atomic.Pointer[time.Time] // since when no byte passes; nil where all do
	probed atomic.Pointer[time.Time] // when it last said that it is alive, where nothing else comes; nil where bytes come all the time

	once sync.Once
	done chan struct{}
}

var _ = (transport.Transport)((*stubLine)(nil))

// stubDialer makes a line at once.
func stubDialer(context.Context) (transport.Transport, error) {
	return newStub(false), nil
}

// stubPipe is stubDialer where the line is a pipe to some program, which can't be asked whether the server is alive.
func stubPipe(context.Context) (transport.Transport, error) { return newStub(true), nil }

// stubGate makes stub lines for as long as it is not shut.
type stubGate struct {
	refusal atomic.Pointer[error] // what comes of dialling; nil where a line does
	dials   atomic.Int32          // how often it was tried
	line    transport.Transport   // the last that was made
}

func (g *stubGate) dial(ctx context.Context) (transport.Transport, error) {
	g.dials.Add(1)
	if err := g.refusal.Load(); err != nil {
		return nil, *err
	}
	var err error
	g.line, err = stubDialer(ctx)
	return g.line, err
}

// shut cuts the line, and has err come of dialling from then on.
func (g *stubGate) shut(err error) {
	g.refusal.Store(&err)
	g.line.Close()
}

// open has lines made again.
func (g *stubGate) open() { g.refusal.Store(nil) }

func newStub(pipe bool) *stubLine {
	return &stubLine{pipe: pipe, born: time.Now(), done: make(chan struct{})}
}

// underStub makes a connection by dial that ends with the test. It watches neither network nor clock.
func underStub(t *testing.T, dial transport.Dialer, set ...func(*Options)) *Conn {
	t.Helper()
	o := Options{Dial: dial, Logger: slog.New(slog.NewTextHandler(testLog{t}, nil))}
	for _, f := range set {
		f(&o)
	}
	c := newConn(o)
	l, err := c.dial(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	c.setUp(l)
	c.spawn(func() { c.manage(l) })
	t.Cleanup(func() { c.Close() })
	return c
}

// silence has nothing come over the line but the answers to probes.
func (l *stubLine) silence() {
	now := time.Now()
	l.probed.Store(&now)
}

// freeze makes the line a black hole.
func (l *stubLine) freeze() {
	now := time.Now()
	l.frozen.Store(&now)
}

// thaw ends what freeze has begun.
func (l *stubLine) thaw() { l.frozen.Store(nil) }

// stall has the server take its time to open a channel.
func (l *stubLine) stall(d time.Duration) { l.stalled = d }

func (l *stubLine) OpenChannel(ctx context.Context) (transport.Channel, error) {
	select {
	case <-time.After(l.stalled):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if l.frozen.Load() != nil {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	if l.channels.Add(1) > 1 && l.pipe {
		return nil, transport.ErrNoMoreChannels
	}
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		for greeted := false; ; {
			var length [4]byte
			if _, err := io.ReadFull(theirs, length[:]); err != nil {
				return
			}
			if _, err := io.CopyN(io.Discard, theirs, int64(binary.BigEndian.Uint32(length[:]))); err != nil {
				return
			}
			if !greeted {
				greeted = true
				if _, err := theirs.Write([]byte{0, 0, 0, 5, 2, 0, 0, 0, 3}); err != nil {
					return
				}
			}
		}
	}()
	return stubChannel{ours}, nil
}

func (l *stubLine) Probe(ctx context.Context) error {
	if l.pipe {
		return transport.ErrNoProbe
	}
	if l.frozen.Load() != nil {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	if l.probed.Load() != nil {
		l.silence()
	}
	return nil
}

func (l *stubLine) LastReceived() time.Time {
	if l.pipe {
		return l.born
	}
	if since := l.frozen.Load(); since != nil {
		return *since
	}
	if at := l.probed.Load(); at != nil {
		return *at
	}
	return time.Now()
}

func (l *stubLine) Arrived() (bytes, more uint64) { return l.arrived.Load(), l.sending.Load() }

func (l *stubLine) Done() <-chan struct{} { return l.done }
func (l *stubLine) Info() transport.Info  { return l.info }

func (l *stubLine) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *stubLine) Err() error {
	select {
	case <-l.done:
		return errors.New("the line was cut")
	default:
		return nil
	}
}

type stubChannel struct{ net.Conn }

func (stubChannel) Remarks() string { return "" }

// stubLines is a dialer that hands the lines it makes to the test.
func stubLines() (transport.Dialer, chan *stubLine) {
	lines := make(chan *stubLine, 10)
	return func(context.Context) (transport.Transport, error) {
		l := newStub(false)
		lines <- l
		return l, nil
	}, lines
}
