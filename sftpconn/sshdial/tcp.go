package sshdial

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// minUserTimeout is for how long sent bytes may stay unacknowledged before the
// kernel gives the connection up, at least. It only backs up the keepalives of
// the rooms above, which notice a silent line within 15 s, and it is longer than
// they are: a line of which one direction stalls for 20 s is slow, not dead.
const minUserTimeout = 30 * time.Second

// mostUserTimeout is the most that the kernel takes: milliseconds in 31 bits.
const mostUserTimeout = math.MaxInt32 * time.Millisecond

// tcpOptions are how the TCP connection to a first hop is made.
type tcpOptions struct {
	network     string // "tcp", "tcp4" or "tcp6"
	bindAddress string // local address; "" for any
	bindDevice  string // local interface, whose address is taken; "" for any
	keepAlive   bool
	delay       bool          // Nagle's algorithm
	userTimeout time.Duration // TCP_USER_TIMEOUT
}

func (c *hostConfig) tcpOptions(delay bool) tcpOptions {
	o := tcpOptions{
		network:     "tcp",
		bindAddress: c.getUnlessNone("bindaddress"),
		bindDevice:  c.getUnlessNone("bindinterface"),
		keepAlive:   c.yes("tcpkeepalive", true),
		delay:       delay,
		userTimeout: minUserTimeout,
	}
	switch c.get("addressfamily") {
	case "inet":
		o.network = "tcp4"
	case "inet6":
		o.network = "tcp6"
	}
	// Who asks for more patience than that gets it.
	interval, count := parseSeconds(c.get("serveraliveinterval")), c.number("serveralivecountmax", 3)
	if count > 0 && interval > mostUserTimeout/time.Duration(count) {
		o.userTimeout = mostUserTimeout
	} else {
		o.userTimeout = max(o.userTimeout, interval*time.Duration(count))
	}
	return o
}

// dialTCP connects. name is how messages call the host.
func dialTCP(ctx context.Context, name, host, port string, o tcpOptions) (net.Conn, error) {
	d := net.Dialer{
		KeepAlive: -1,
		Control: func(_, _ string, raw syscall.RawConn) error {
			var err error
			if cerr := raw.Control(func(fd uintptr) {
				err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(o.userTimeout.Milliseconds()))
			}); cerr != nil {
				return cerr
			}
			return err
		},
	}
	if o.keepAlive {
		d.KeepAliveConfig = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 15 * time.Second, Count: 4}
	}
	if o.bindAddress != "" || o.bindDevice != "" {
		local, err := o.local(ctx)
		if err != nil {
			return nil, err
		}
		d.LocalAddr = local
	}
	conn, err := d.DialContext(ctx, o.network, net.JoinHostPort(host, port))
	if unknown(err) {
		if addrs := askNameService(ctx, host, o.network); len(addrs) > 0 {
			conn, err = dialEach(ctx, &d, o.network, addrs, port)
		}
	}
	if err != nil {
		return nil, connectError(ctx, name, host, port, err)
	}
	if tcp, ok := conn.(*net.TCPConn); ok && o.delay {
		tcp.SetNoDelay(false)
	}
	return conn, nil
}

// local is the local address to connect from.
func (o tcpOptions) local(ctx context.Context) (net.Addr, error) {
	if o.bindAddress != "" {
		ips, err := net.DefaultResolver.LookupIP(ctx, strings.Replace(o.network, "tcp", "ip", 1), o.bindAddress)
		if err != nil {
			return nil, fmt.Errorf("BindAddress %s: %w", o.bindAddress, err)
		}
		return &net.TCPAddr{IP: ips[0]}, nil
	}
	iface, err := net.InterfaceByName(o.bindDevice)
	if err != nil {
		return nil, fmt.Errorf("BindInterface %s: %w", o.bindDevice, err)
	}
	addrs, err := iface.Addrs()
	if err != nil {
		return nil, fmt.Errorf("BindInterface %s: %w", o.bindDevice, err)
	}
	for _, a := range addrs {
		ip, ok := a.(*net.IPNet)
		if !ok || ip.IP.IsLinkLocalUnicast() {
			continue
		}
		is4 := ip.IP.To4() != nil
		if o.network == "tcp4" && !is4 || o.network == "tcp6" && is4 {
			continue
		}
		return &net.TCPAddr{IP: ip.IP}, nil
	}
	return nil, fmt.Errorf("BindInterface %s has no address to connect from", o.bindDevice)
}

// connectError says in one line why there is no connection. Only what the
// network can't mend is permanent.
func connectError(ctx context.Context, name, host, port string, err error) error {
	dns, isDNS := errors.AsType[*net.DNSError](err)
	switch {
	case ctx.Err() != nil && !errors.Is(context.Cause(ctx), errTimeUp):
		return context.Cause(ctx)
	case isDNS:
		if dns.IsNotFound {
			return fmt.Errorf("host %s is not known: no address for the name %q; check the name, or HostName in ssh's configuration (%w)", name, host, err)
		}
		return fmt.Errorf("the address of host %s cannot be looked up: %w", name, err)
	case errors.Is(err, syscall.ECONNREFUSED):
		if !strings.HasSuffix(name, " port "+port) {
			name += " port " + port
		}
		return fmt.Errorf("%s refused the connection: no server is running there, or it uses another port (%w)", name, err)
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return fmt.Errorf("%s cannot be reached: %w", name, err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		// Not for good: the address goes with the network, and comes back with it.
		return fmt.Errorf("cannot connect to %s from the address that BindAddress or BindInterface gives, which this machine does not have now: %w", name, err)
	}
	return fmt.Errorf("cannot connect to %s: %w", name, err)
}
