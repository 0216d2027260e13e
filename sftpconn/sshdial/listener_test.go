package sshdial

import (
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// listener serves each connection with talk, on loopback.
func listener(t *testing.T, talk func(net.Conn)) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wait.Go(func() {
				defer c.Close()
				talk(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		wait.Wait()
	})
	return l.Addr().(*net.TCPAddr).Port
}

// untilClosed reads until the other side is gone.
func untilClosed(c net.Conn) {
	buf := make([]byte, 1024)
	for {
		if _, err := c.Read(buf); err != nil {
			return
		}
	}
}

func noServer(port int, timeout time.Duration) Options {
	return Options{
		Host: "127.0.0.1", Port: o2s(port), User: "u", ConfigFile: "none", ConnectTimeout: timeout,
		SSHOptions: []string{"IdentityFile=none", "IdentityAgent=none", "UserKnownHostsFile=none", "GlobalKnownHostsFile=none"},
	}
}

// deafPort is a port where connections are neither taken nor refused: the queue
// of those that wait to be taken is full, so that the kernel drops what comes.
func deafPort(t *testing.T) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	port := name.(*unix.SockaddrInet4).Port
	for range 20 {
		c, err := net.DialTimeout("tcp", "127.0.0.1:"+o2s(port), time.Second)
		if err != nil {
			return port
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Fatal("the queue is never full")
	return 0
}
