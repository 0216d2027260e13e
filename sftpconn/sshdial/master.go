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

// rideTimeout is how long a ControlMaster may take to greet. It is a process of
// this machine.
const rideTimeout = 5 * time.Second

// master is what earlier rides have shown of the ControlMaster.
type master struct {
	mu     sync.Mutex    // guards what follows; a leaf
	ridden *sshTransport // the last ride; nil for none
	socket os.FileInfo   // the socket of it, or of the master in doubt; nil for none
	doubt  bool          // that master did not pass on what it was asked
}

// doubtful says that the master at path was last found, or left, without an answer of the server. The master itself
// answers also where its line is dead, for as long as it has not noticed.
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

// note keeps how a ride began: t is nil where the master at path gave no session in time.
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

// ride takes the connection of a running ControlMaster at path, where the server answers through it; nil otherwise. last says that
// nothing else is left to be tried.
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
	// Up to here it was the master alone that answered. The session is the one that the first channel takes.
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
