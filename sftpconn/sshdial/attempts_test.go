package sshdial

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// A server that comes up while it is being tried is reached by a later attempt.
func TestConnectionAttempts(t *testing.T) {
	key := keygen(t, t.TempDir(), "k", "ed25519", "")
	s := &server{dir: t.TempDir(), port: freePort(t)}
	s.hostKey = keygen(t, s.dir, "host", "ed25519", "")
	var log strings.Builder
	o := s.options(t, key, "ConnectionAttempts=30")
	o.Logger = logTo(&log)
	d, err := New(ctxOf(t), o)
	if err != nil {
		t.Fatal(err)
	}
	// The port is bound, and refuses until somebody listens.
	time.AfterFunc(1500*time.Millisecond, func() { s.listenWhereRefused() })
	_, err = d.Dial(ctxOf(t))
	if err == nil || strings.Contains(err.Error(), "refused") {
		t.Errorf("%v, want one from the listener that came up later", err)
	}
	if n := strings.Count(log.String(), "trying to connect again"); n < 1 || n > 20 {
		t.Errorf("%d further attempts were made:\n%s", n, log.String())
	}
}

// listenWhereRefused answers once at the server's port, with something that is no SSH.
func (s *server) listenWhereRefused() {
	l, err := net.Listen("tcp", s.address())
	if err != nil {
		return
	}
	defer l.Close()
	c, err := l.Accept()
	if err != nil {
		return
	}
	fmt.Fprintf(c, "not ssh\r\n")
	c.Close()
}

// Where nobody answers each attempt takes its whole time, and the first one must not use up that of all.
func TestEachConnectionAttemptHasItsTime(t *testing.T) {
	port := deafPort(t)
	var log strings.Builder
	o := noServer(port, 200*time.Millisecond)
	o.SSHOptions = append(o.SSHOptions, "ConnectionAttempts=3")
	o.Logger = logTo(&log)
	began := time.Now()
	msg, err := refused(t, o)
	says(t, msg, "no answer from 127.0.0.1", "within 200ms")
	if isPermanent(err) {
		t.Error("permanent")
	}
	if n := strings.Count(log.String(), "trying to connect again"); n != 2 {
		t.Errorf("%d further attempts were made:\n%s", n, log.String())
	}
	if took := time.Since(began); took < 2*attemptInterval+600*time.Millisecond {
		t.Errorf("three attempts took %v", took)
	}
}
