package session

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sshmount/sftpconn/sftptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// deadline is what a test waits for something that must come, on a busy machine.
const deadline = 20 * time.Second

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	t.Cleanup(cancel)
	return ctx
}

// connect opens a session with srv.
func connect(t testing.TB, srv *sftptest.Server) *Session {
	t.Helper()
	s, err := tryConnect(t, srv)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func tryConnect(t testing.TB, srv *sftptest.Server) (*Session, error) {
	t.Helper()
	tr, err := srv.Dial(within(t))
	if err != nil {
		t.Fatal(err)
	}
	ch, err := tr.OpenChannel(within(t))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(within(t), ch, Options{})
	if err == nil {
		t.Cleanup(func() { s.Close() })
	}
	return s, err
}

// limits waits for what the server says of its limits.
func limits(t testing.TB, s *Session) Limits {
	t.Helper()
	if s.limits != nil {
		outcome(t, s.limits)
	}
	l, _ := s.Limits()
	return l
}

// outcome waits for a call, and fails the test where it never ends.
func outcome(t testing.TB, c *Call) error {
	t.Helper()
	select {
	case <-c.Done():
	case <-time.After(deadline):
		t.Fatal("the call did not end")
	}
	return c.Wait(context.Background())
}

// must waits for a call that has to succeed.
func must(t testing.TB, c *Call) *Call {
	t.Helper()
	if err := outcome(t, c); err != nil {
		t.Fatal(err)
	}
	return c
}

// opendir is an OPENDIR with nothing behind it.
func opendir(s *Session, path string) *Call {
	open, _ := s.OpendirAndRead(path, 0)
	return open
}

// real gives a session with OpenSSH's server, and the directory it works in.
func real(t testing.TB, options ...sftptest.Option) (*Session, string) {
	t.Helper()
	srv := sftptest.New(t, options...)
	return connect(t, srv), srv.Dir()
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * i >> 7)
	}
	return b
}

func refusedWith(t *testing.T, c *Call, code uint32) {
	t.Helper()
	var refused *StatusError
	if err := outcome(t, c); !errors.As(err, &refused) || refused.Code != code {
		t.Errorf("%v, status %d wanted", err, code)
	}
}

// lostCall waits for a call that has to end with LostError, and gives that.
func lostCall(t *testing.T, c *Call) *LostError {
	t.Helper()
	err := outcome(t, c)
	var lost *LostError
	if !errors.As(err, &lost) {
		t.Fatalf("the call ended with %v", err)
	}
	if errors.Is(err, io.EOF) {
		t.Errorf("%v can be taken for the end of a file", err)
	}
	return lost
}

func ended(c *Call) bool {
	select {
	case <-c.Done():
		return true
	default:
		return false
	}
}
