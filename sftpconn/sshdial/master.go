package sshdial

import (
	"context"
	"net"
	"time"

	"golang.org/x/crypto/ssh"

	"sshmount/sftpconn/transport"
)

// rideTimeout is how long a ControlMaster may take to answer. It is a process of
// this machine.
const rideTimeout = 5 * time.Second

// ride takes the connection of a running ControlMaster, where the configuration
// names one and it answers; nil otherwise.
func (d *Dialer) ride(ctx context.Context) transport.Transport {
	path := d.target.getUnlessNone("controlpath")
	if path == "" {
		return nil
	}
	path = d.target.expandPath(path)
	conn, err := net.DialTimeout("unix", path, rideTimeout)
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
	t := newSSHTransport(c, channels, requests, g, d.hops[len(d.hops)-1], nil, "")
	t.server = d.o.SFTPServer
	t.mute = true // a master passes no keepalives on
	t.info.Remote = "ControlMaster " + path
	t.info.Shared = true
	return t
}
