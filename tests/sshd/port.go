package sshd

import (
	"errors"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// KeepPort gives a port of an IPv4 address of this machine that nobody listens on, and keeps it until keep is closed: the kernel
// gives it to nobody who asks for any port, or connects from any. Who asks for this one may listen on it (with SO_REUSEADDR, as
// sshd does and package net).
func KeepPort(address string) (port int, keep *os.File, err error) {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return 0, nil, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, nil, err
	}
	keep = os.NewFile(uintptr(fd), "port of "+address)
	err = errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1), unix.Bind(fd, &unix.SockaddrInet4{Addr: ip.As4()}))
	name, nameErr := unix.Getsockname(fd)
	if err = errors.Join(err, nameErr); err != nil {
		keep.Close()
		return 0, nil, err
	}
	return name.(*unix.SockaddrInet4).Port, keep, nil
}
