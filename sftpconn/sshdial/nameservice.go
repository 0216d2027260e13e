package sshdial

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// nameServicePatience is how long getent may take, which may ask the network (mDNS).
const nameServicePatience = 10 * time.Second

// unknown reports that Go's own resolver, which knows /etc/hosts and DNS, has found no address.
func unknown(err error) bool {
	dns, ok := errors.AsType[*net.DNSError](err)
	return ok && dns.IsNotFound
}

// askNameService asks the C library's name service by way of getent: a program that is built without C can't do it, and
// names that only a module of nsswitch.conf knows (.local by Avahi, machines of systemd, a directory) are unknown to it
// although ssh finds them. Nil where that finds nothing either, or getent is not installed.
func askNameService(ctx context.Context, host, network string) []netip.Addr {
	if host == "" || strings.HasPrefix(host, "-") {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, nameServicePatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "getent", "ahosts", host)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return nil
	}
	return readAddresses(string(out), network)
}

// readAddresses reads what getent prints: an address a line with words behind it, each of them several times.
func readAddresses(text, network string) []netip.Addr {
	var addrs []netip.Addr
	for line := range strings.Lines(text) {
		word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		a, err := netip.ParseAddr(word)
		if err != nil || slices.Contains(addrs, a.Unmap()) {
			continue
		}
		a = a.Unmap()
		if network == "tcp4" && !a.Is4() || network == "tcp6" && a.Is4() {
			continue
		}
		addrs = append(addrs, a)
	}
	return addrs
}

// dialEach tries the addresses in turn; each has its share of the time that is left. The error is the first one's, which
// the name service prefers.
func dialEach(ctx context.Context, d *net.Dialer, network string, addrs []netip.Addr, port string) (net.Conn, error) {
	var first error
	for i, a := range addrs {
		share, cancel := ctx, context.CancelFunc(func() {})
		if end, ok := ctx.Deadline(); ok {
			share, cancel = context.WithTimeout(ctx, time.Until(end)/time.Duration(len(addrs)-i))
		}
		conn, err := d.DialContext(share, network, net.JoinHostPort(a.String(), port))
		cancel()
		if err == nil {
			return conn, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}
