package line

import (
	"net"
	"syscall"
)

// Below this rate (bytes per second) the kernel's own buffers would be a large part of
// the queue that the line is meant to have.
const slow = 32 << 20

// socketOptions keeps the kernel's buffers in front of the line small, for the direction
// whose bytes are read from the socket. On the loopback interface a segment is 64 KiB, and
// Linux lets a sender buffer twenty of them: two seconds of a 1 MB/s line. Segments of an
// Ethernet's size and a small window keep it near the queue of the configuration.
func (l *Line) socketOptions(w Way) func(network, address string, c syscall.RawConn) error {
	d := l.links[w].get()
	return func(_, _ string, c syscall.RawConn) error {
		if d.BytesPerSecond == 0 {
			return nil
		}
		var err error
		cerr := c.Control(func(fd uintptr) {
			if d.BytesPerSecond < slow {
				if err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, chunkMin); err != nil {
					return
				}
			}
			window := min(max(d.BytesPerSecond/200, 16<<10), 1<<20)
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, int(window))
		})
		if cerr != nil {
			return cerr
		}
		return err
	}
}

// holdPort binds a socket without listening at it. While it is open nobody else is given
// its port, a connection to it is refused unless we listen too, and with SO_REUSEADDR (that
// net.Listen sets) we may.
func holdPort(want *net.TCPAddr) (fd int, got *net.TCPAddr, err error) {
	family := syscall.AF_INET
	var sa syscall.Sockaddr
	if ip := want.IP.To4(); ip != nil || want.IP == nil {
		in := &syscall.SockaddrInet4{Port: want.Port}
		copy(in.Addr[:], ip)
		sa = in
	} else {
		family = syscall.AF_INET6
		in := &syscall.SockaddrInet6{Port: want.Port}
		copy(in.Addr[:], want.IP)
		sa = in
	}
	fd, err = syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, nil, err
	}
	if err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err == nil {
		err = syscall.Bind(fd, sa)
	}
	var bound syscall.Sockaddr
	if err == nil {
		bound, err = syscall.Getsockname(fd)
	}
	if err != nil {
		syscall.Close(fd)
		return 0, nil, err
	}
	switch b := bound.(type) {
	case *syscall.SockaddrInet4:
		got = &net.TCPAddr{IP: net.IP(b.Addr[:]), Port: b.Port}
	case *syscall.SockaddrInet6:
		got = &net.TCPAddr{IP: net.IP(b.Addr[:]), Port: b.Port}
	}
	return fd, got, nil
}
