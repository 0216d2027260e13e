package sshdial

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// ServerAliveCountMax=99999 is how people say 'never': the kernel refuses what doesn't fit into its 31 bits of milliseconds, and then
// there would be no connection at all.
func TestAnyPatienceLeadsToAConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	host, port, _ := net.SplitHostPort(l.Addr().String())
	for _, row := range []struct {
		interval, count string
		want            time.Duration
	}{
		{"0", "3", minUserTimeout},
		{"5", "3", minUserTimeout},
		{"15", "0", minUserTimeout},
		{"20", "3", time.Minute},
		{"30", "99999", mostUserTimeout},
		{"60", "2147483647", mostUserTimeout},
		{"2147483647", "1", mostUserTimeout},
		{"2147483647", "2147483647", mostUserTimeout},
	} {
		c := &hostConfig{values: map[string][]string{"serveraliveinterval": {row.interval}, "serveralivecountmax": {row.count}}}
		conn, err := dialTCP(t.Context(), "server", host, port, c.tcpOptions(false))
		if err != nil {
			t.Errorf("ServerAliveInterval=%s, ServerAliveCountMax=%s: %v", row.interval, row.count, err)
			continue
		}
		raw, err := conn.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var ms int
		if cerr := raw.Control(func(fd uintptr) {
			ms, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
		}); cerr != nil || err != nil {
			t.Fatal(cerr, err)
		}
		if got := time.Duration(ms) * time.Millisecond; got != row.want {
			t.Errorf("ServerAliveInterval=%s, ServerAliveCountMax=%s: the kernel has a limit of %v, want %v", row.interval, row.count, got, row.want)
		}
		conn.Close()
	}
}
