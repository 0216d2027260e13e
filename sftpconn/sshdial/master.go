package sshdial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"sshmount/sftpconn/transport"
)

// rideTimeout is how long a ControlMaster, a process on this machine, may take to
// greet.
const rideTimeout = 5 * time.Second

// master is what is known of the ControlMaster from earlier rides (connections through it).
type master struct {
	mu     sync.Mutex    // guards what follows; a leaf
	ridden *sshTransport // the last ride; nil for none
	socket os.FileInfo   // the socket of that, or of the doubtful master; nil for none
	doubt  bool          // that master has a line on which the server did not answer
}

// doubtful reports whether the server did not answer through the master at path when that was last tried, or was left. The
// master itself goes on answering until it notices that its line is dead.
func (m *master) doubtful(path string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ridden != nil && m.ridden.givenUp() {
		m.doubt = true
	}
	if !m.doubt {
		return false
	}
	now, err := os.Stat(path)
	return err == nil && m.socket != nil && os.SameFile(m.socket, now) && now.ModTime().Equal(m.socket.ModTime())
}

// note notes how a ride through the master at path began: t is nil where it gave no session in time.
func (m *master) note(path string, t *sshTransport) {
	socket, err := os.Stat(path)
	if err != nil {
		socket = nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ridden, m.socket, m.doubt = t, socket, t == nil
}

// masterPath is the socket of the ControlMaster that the configuration names; "" for none.
func (r *route) masterPath() string {
	path := r.target.getUnlessNone("controlpath")
	if path == "" {
		return ""
	}
	return r.target.expandPath(path)
}

// ride uses the connection of a running ControlMaster at path. It returns nil where there is no master, or the server does not answer
// through it. last, for the log, says that nothing else is left to be tried.
func (d *Dialer) ride(ctx context.Context, r *route, path string, last bool) transport.Transport {
	conn, err := (&net.Dialer{Timeout: rideTimeout}).DialContext(ctx, "unix", path)
	if err != nil {
		return nil
	}
	g := newGatherConn(conn)
	stop := context.AfterFunc(ctx, func() { g.Close() })
	defer stop()
	limit := time.AfterFunc(rideTimeout, func() { g.Close() })
	defer limit.Stop()
	c, channels, requests, err := ssh.NewControlClientConn(g)
	if err != nil {
		g.Close()
		d.log.Info("the ControlMaster does not take this connection", "socket", path, "error", plain(err))
		return nil
	}
	limit.Stop()
	t := newSSHTransport(c, channels, requests, g, r.last(), nil, "")
	t.server = d.o.SFTPServer
	t.mute = true // a master passes no keepalives on
	t.info.Remote = "ControlMaster " + path
	t.info.Shared = true
	t.info.Relayed = true // by the master, and nobody but it knows through which hosts besides
	// So far only the master has answered. The session is a question to the server; the first channel takes it.
	late := fmt.Errorf("the server does not answer through it within %v: %w", r.timeout, errTimeUp)
	opening, cancel := context.WithTimeoutCause(ctx, r.timeout, late)
	defer cancel()
	s, err := awaiting(opening, func() (bareSession, error) {
		s := openSession(c)
		return s, s.err
	}, func(bareSession) {}) // it ends with the connection
	if err == nil {
		t.reserve.put(s)
		d.master.note(path, t)
		return t
	}
	t.Close()
	if errors.Is(err, errTimeUp) {
		d.master.note(path, nil)
	}
	if ctx.Err() == nil {
		what := "the ControlMaster gives no session; connecting without it"
		if last {
			what = "the ControlMaster gives no session either"
		}
		d.log.Info(what, "socket", path, "error", plain(err))
	}
	return nil
}
