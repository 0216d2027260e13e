package sshdial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mdlayher/vsock"

	"sshmount/sftpconn/transport"
)

// streamTransport is a single stream with an SFTP server at its end: an external
// ssh, a TCP or vsock connection without SSH, or what was handed over (passive).
type streamTransport struct {
	line    *gatherConn
	info    transport.Info
	taken   atomic.Bool   // its one channel was given out
	greeted []byte        // what was sent already, with which the first Writes must begin; used by Write only
	remarks func() string // what was written to standard error; nil for nothing

	once sync.Once
	done chan struct{} // closed by end
	err  error         // set before done is closed
}

var (
	_ transport.Transport = (*streamTransport)(nil)
	_ transport.Channel   = (*streamChannel)(nil)
)

func newStreamTransport(line *gatherConn, info transport.Info) *streamTransport {
	return &streamTransport{line: line, info: info, done: make(chan struct{})}
}

func (t *streamTransport) end(err error) {
	t.once.Do(func() {
		t.err = err
		close(t.done)
		t.line.Close()
	})
}

func (t *streamTransport) OpenChannel(context.Context) (transport.Channel, error) {
	select {
	case <-t.done:
		return nil, t.err
	default:
	}
	if t.taken.Swap(true) {
		return nil, transport.ErrNoMoreChannels
	}
	return &streamChannel{t}, nil
}

func (t *streamTransport) Probe(context.Context) error { return transport.ErrNoProbe }
func (t *streamTransport) LastReceived() time.Time     { return t.line.lastReceived() }
func (t *streamTransport) Done() <-chan struct{}       { return t.done }
func (t *streamTransport) Info() transport.Info        { return t.info }

func (t *streamTransport) Err() error {
	select {
	case <-t.done:
		return t.err
	default:
		return nil
	}
}

func (t *streamTransport) Close() error {
	t.end(net.ErrClosed)
	return nil
}

// streamChannel is the one channel of a streamTransport; with it the transport ends.
type streamChannel struct{ t *streamTransport }

func (c *streamChannel) Read(p []byte) (int, error) {
	n, err := c.t.line.Read(p)
	if err == nil {
		return n, nil
	}
	select {
	case <-c.t.done:
		return n, c.t.err
	default:
	}
	if why := c.t.line.failure(); why != "" {
		err = errors.New(why)
	} else if errors.Is(err, io.EOF) {
		err = fmt.Errorf("%s closed the connection: %w", c.t.info.Remote, io.EOF)
	} else {
		err = fmt.Errorf("the connection to %s was lost: %w", c.t.info.Remote, err)
	}
	c.t.end(err)
	return n, c.t.err
}

func (c *streamChannel) Write(p []byte) (int, error) {
	skipped := 0
	if g := c.t.greeted; len(g) > 0 {
		skipped = min(len(g), len(p))
		if string(g[:skipped]) != string(p[:skipped]) {
			return 0, errors.New("the SFTP session begins otherwise than the login was proven with")
		}
		c.t.greeted = g[skipped:]
		if skipped == len(p) {
			return skipped, nil
		}
	}
	n, err := c.t.line.Write(p[skipped:])
	return skipped + n, err
}

func (c *streamChannel) Close() error { return c.t.Close() }

func (c *streamChannel) Remarks() string {
	if c.t.remarks == nil {
		return ""
	}
	return c.t.remarks()
}

// dialDirect connects to an SFTP server that speaks on TCP without SSH.
func dialDirect(ctx context.Context, host, port string, timeout time.Duration, delay bool) (transport.Transport, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// Not a deadline of the context: the dialer would make an error of its own of it.
	limit := time.AfterFunc(timeout, func() { cancel(errTimeUp) })
	defer limit.Stop()
	o := tcpOptions{network: "tcp", keepAlive: true, delay: delay, userTimeout: minUserTimeout}
	conn, err := dialTCP(ctx, host+" port "+port, host, port, o)
	if err != nil {
		if errors.Is(context.Cause(ctx), errTimeUp) {
			err = &timeoutError{host: host + " port " + port, limit: timeout}
		}
		return nil, err
	}
	return newStreamTransport(newGatherConn(conn), transport.Info{Client: "directport", Remote: conn.RemoteAddr().String()}), nil
}

// parseVSock reads "CID:PORT".
func parseVSock(s string) (cid, port uint32, err error) {
	a, b, ok := strings.Cut(s, ":")
	c, err1 := strconv.ParseUint(a, 10, 32)
	p, err2 := strconv.ParseUint(b, 10, 32)
	if !ok || err1 != nil || err2 != nil {
		return 0, 0, permanent("vsock=%s is not CID:PORT, two numbers", s)
	}
	return uint32(c), uint32(p), nil
}

func dialVSock(ctx context.Context, address string, timeout time.Duration) (transport.Transport, error) {
	cid, port, err := parseVSock(address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errTimeUp)
	defer cancel()
	conn, err := awaiting(ctx, func() (net.Conn, error) {
		c, err := vsock.Dial(cid, port, nil)
		if err != nil {
			return nil, err
		}
		return c, nil
	}, func(c net.Conn) { c.Close() })
	if err != nil {
		return nil, fmt.Errorf("cannot connect to vsock %s: %w", address, err)
	}
	return newStreamTransport(newGatherConn(conn), transport.Info{Client: "vsock", Remote: "vsock " + address}), nil
}

// handedOver makes a net.Conn of a stream that has no addresses and no deadlines.
type handedOver struct{ io.ReadWriteCloser }

func (handedOver) LocalAddr() net.Addr              { return processAddr("passive") }
func (handedOver) RemoteAddr() net.Addr             { return processAddr("passive") }
func (handedOver) SetDeadline(time.Time) error      { return errors.ErrUnsupported }
func (handedOver) SetReadDeadline(time.Time) error  { return errors.ErrUnsupported }
func (handedOver) SetWriteDeadline(time.Time) error { return errors.ErrUnsupported }

func newPassive(stream io.ReadWriteCloser) transport.Transport {
	return newStreamTransport(newGatherConn(handedOver{stream}), transport.Info{Client: "passive", Remote: "standard input and output"})
}
