package sshdial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"golang.org/x/crypto/ssh"
)

// dialThrough connects to a host as seen from this one (ProxyJump).
func (t *sshTransport) dialThrough(ctx context.Context, name, host, port string) (net.Conn, error) {
	n, err := strconv.Atoi(port)
	if err != nil {
		return nil, permanent("port %q of %s is no number", port, name)
	}
	t.line.acknowledgeAtOnce()
	conn, err := awaiting(ctx, func() (net.Conn, error) {
		ch, requests, err := t.conn.OpenChannel("direct-tcpip", ssh.Marshal(struct {
			Host  string
			Port  uint32
			From  string
			FromP uint32
		}{host, uint32(n), "127.0.0.1", 0}))
		if err != nil {
			return nil, err
		}
		go ssh.DiscardRequests(requests)
		return &throughConn{Channel: ch, via: t}, nil
	}, func(c net.Conn) { c.Close() })
	refused, isRefusal := errors.AsType[*ssh.OpenChannelError](err)
	switch {
	case err == nil:
		return conn, nil
	case isRefusal && refused.Reason == ssh.Prohibited:
		return nil, permanent("jump host %s does not pass connections on to %s (%s)", t.name, name, clip(refused.Message, 120))
	case isRefusal:
		return nil, fmt.Errorf("jump host %s cannot connect to %s: %s (%w)", t.name, name, clip(refused.Message, 120), err)
	}
	return nil, err
}

// throughConn is a connection through a jump host. It has no deadlines: whoever
// is out of patience closes it.
type throughConn struct {
	ssh.Channel
	via *sshTransport
}

func (c *throughConn) LocalAddr() net.Addr              { return c.via.line.LocalAddr() }
func (c *throughConn) RemoteAddr() net.Addr             { return noAddress }
func (c *throughConn) SetDeadline(time.Time) error      { return errors.ErrUnsupported }
func (c *throughConn) SetReadDeadline(time.Time) error  { return errors.ErrUnsupported }
func (c *throughConn) SetWriteDeadline(time.Time) error { return errors.ErrUnsupported }

// Close ends the channel. Telling the jump host may block where the line is
// dead, so that is left to a goroutine; it ends with the line.
func (c *throughConn) Close() error {
	go c.Channel.Close()
	return nil
}
