package sshdial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"sshmount/sftpconn/transport"
)

// sshTransport is a login by the native client, on any hop.
type sshTransport struct {
	conn  ssh.Conn
	line  *gatherConn
	under *sshTransport // the login through which this one goes; nil for the first hop
	name  string        // for messages
	info  transport.Info
	mute  bool   // its probes don't reach the server (a ControlMaster is in between)
	said  string // what the server has said in words at the end of the login; "" for nothing

	server string      // the SFTP server that OpenChannel asks for, as in Options.SFTPServer; set for the last hop
	opened atomic.Bool // a channel has been granted

	closing atomic.Bool
	done    chan struct{} // closed by the goroutine that waits for conn's end
	err     error         // why it ended; set before done is closed

	reserve reserve

	probeMu sync.Mutex // guards probe
	probe   *probe     // the one in flight; nil where there is none
}

var (
	_ transport.Transport = (*sshTransport)(nil)
	_ transport.Sender    = (*sshTransport)(nil)
	_ transport.Leaver    = (*sshTransport)(nil)
)

// probe is a keepalive in flight. The library sends one global request at a time, so
// all callers of Probe share it.
type probe struct {
	done chan struct{} // closed when the answer is there, or the connection's end
	err  error         // set before done is closed
}

func newSSHTransport(conn ssh.Conn, channels <-chan ssh.NewChannel, requests <-chan *ssh.Request,
	line *gatherConn, h *hop, check *hostKeyCheck, method string) *sshTransport {
	t := &sshTransport{
		conn: conn, line: line, name: h.cfg.name(), done: make(chan struct{}),
		info: transport.Info{Client: "native", User: h.cfg.user(), AuthMethod: method},
	}
	if a := line.RemoteAddr(); a != nil {
		t.info.Remote = a.String()
	}
	if _, isTCP := line.Conn.(*net.TCPConn); !isTCP {
		t.info.Remote = net.JoinHostPort(h.cfg.hostName(), h.cfg.port())
	}
	if check != nil && check.key != nil {
		t.info.HostKey = keyName(check.key)
	}
	if a, ok := conn.(ssh.AlgorithmsConnMetadata); ok {
		t.info.Cipher = a.Algorithms().Read.Cipher
	}
	go ssh.DiscardRequests(requests)
	go func() {
		for c := range channels {
			c.Reject(ssh.Prohibited, "nothing is offered")
		}
	}()
	go func() {
		err := conn.Wait()
		switch {
		case t.closing.Load():
			t.err = net.ErrClosed
		default:
			t.err = lost(t.name, err)
		}
		line.Close()
		close(t.done)
	}()
	return t
}

// lost is the error of a connection that has ended with err.
func lost(name string, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return fmt.Errorf("%s closed the connection: %w", name, io.EOF)
	}
	if msg, ok := strings.CutPrefix(err.Error(), "ssh: disconnect, reason "); ok {
		if _, said, ok := strings.Cut(msg, ": "); ok {
			return fmt.Errorf("%s ended the connection: %s", name, clip(said, 200))
		}
	}
	return fmt.Errorf("the connection to %s was lost: %w", name, plain(err))
}

func (t *sshTransport) Done() <-chan struct{}   { return t.done }
func (t *sshTransport) Info() transport.Info    { return t.info }
func (t *sshTransport) LastReceived() time.Time { return t.line.lastReceived() }

// Arrived is what TCP knows about the connection that carries all hops.
func (t *sshTransport) Arrived() (bytes, more uint64) {
	for t.under != nil {
		t = t.under
	}
	bytes, more, _ = t.line.arrived()
	return bytes, more
}

func (t *sshTransport) Err() error {
	select {
	case <-t.done:
		return t.err
	default:
		return nil
	}
}

// Leave prepares the end of the connection that carries all hops.
func (t *sshTransport) Leave() {
	for t.under != nil {
		t = t.under
	}
	t.line.leave()
}

// Close tears the chain of hops down from the bottom, so that nothing waits for
// a line that may be dead.
func (t *sshTransport) Close() error {
	t.closing.Store(true)
	t.reserve.giveBack()
	if t.under != nil {
		t.under.Close()
	}
	t.line.Close()
	return nil
}

// givenUp reports whether it was closed by this side, and has not ended by itself.
func (t *sshTransport) givenUp() bool {
	select {
	case <-t.done:
		return errors.Is(t.err, net.ErrClosed)
	default:
		return t.closing.Load()
	}
}

// Probe sends keepalive@openssh.com; any answer counts, a refusal too.
func (t *sshTransport) Probe(ctx context.Context) error {
	if t.mute {
		return transport.ErrNoProbe
	}
	t.probeMu.Lock()
	p := t.probe
	if p == nil {
		p = &probe{done: make(chan struct{})}
		t.probe = p
		go func() {
			// It ends with an answer, or with the connection.
			_, _, p.err = t.conn.SendRequest("keepalive@openssh.com", true, nil)
			t.probeMu.Lock()
			t.probe = nil
			t.probeMu.Unlock()
			close(p.done)
		}()
	}
	t.probeMu.Unlock()
	select {
	case <-p.done:
		if p.err != nil && t.ended() {
			return t.err
		}
		return p.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// awaiting runs open, which can't be interrupted. It returns when open does, or when
// ctx ends; a result that comes after that is passed to drop.
func awaiting[T any](ctx context.Context, open func() (T, error), drop func(T)) (T, error) {
	type result struct {
		v   T
		err error
	}
	c := make(chan result, 1)
	go func() {
		v, err := open()
		c <- result{v, err}
	}()
	select {
	case r := <-c:
		return r.v, r.err
	case <-ctx.Done():
		go func() {
			if r := <-c; r.err == nil {
				drop(r.v)
			}
		}()
		var none T
		return none, context.Cause(ctx)
	}
}

// OpenChannel opens a session and asks for the SFTP server in it. That takes two
// round trips: OpenSSH gives a session no window before the request is
// granted, so nothing could be sent along.
func (t *sshTransport) OpenChannel(ctx context.Context) (transport.Channel, error) {
	return awaiting(ctx, t.openChannel, func(c transport.Channel) { c.Close() })
}

func (t *sshTransport) openChannel() (transport.Channel, error) {
	s := t.reserve.take()
	if s == nil {
		s = new(openSession(t.conn))
	}
	if s.err != nil {
		return nil, t.openError(s.err)
	}
	ch := s.ch
	c := newSSHChannel(t, ch, s.requests)
	request, kind := "subsystem", "subsystem"
	if strings.Contains(t.server, "/") {
		request, kind = "exec", "command"
	}
	ok, err := ch.SendRequest(request, true, ssh.Marshal(struct{ Name string }{t.server}))
	switch {
	case err != nil:
		c.Close()
		if t.ended() {
			return nil, t.err
		}
		return nil, fmt.Errorf("%s closed the channel while the SFTP server was asked for: %w", t.name, plain(err))
	case !ok:
		c.Close()
		return nil, transport.NoSFTP("%w: %s refused the %s %q. Give the path of its SFTP server (sftp_server=/usr/lib/openssh/sftp-server), or switch SFTP on in its sshd_config",
			errNoSubsystem, t.name, kind, t.server)
	}
	t.opened.Store(true)
	return c, nil
}

// ended reports whether the connection is over, or is within a moment: a request may
// fail before the library notices that the connection has ended.
func (t *sshTransport) ended() bool {
	select {
	case <-t.done:
		return true
	case <-time.After(100 * time.Millisecond):
		return false
	}
}

// openError sorts the reasons why a session is not opened.
func (t *sshTransport) openError(err error) error {
	refused, ok := errors.AsType[*ssh.OpenChannelError](err)
	if !ok {
		if t.ended() {
			return t.err
		}
		return fmt.Errorf("no channel to %s: %w", t.name, plain(err))
	}
	why := refused.Reason.String()
	if m := clip(refused.Message, 120); m != "" {
		why += ", " + m
	}
	// sshd says 'connect failed' where MaxSessions is used up.
	err = fmt.Errorf("%s opens no session (%s): %w", t.name, why, transport.ErrNoMoreChannels)
	if !t.opened.Load() {
		return transport.NoSFTP("%w", err)
	}
	return err
}
