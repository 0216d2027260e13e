package line

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what should happen soon, on a busy machine.
const patience = 20 * time.Second

// serve runs a handler for each connection, and returns its address.
func serve(t *testing.T, handle func(net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); handle(c) }()
		}
	}()
	t.Cleanup(func() { ln.Close(); <-ended })
	return ln.Addr().String()
}

func echo(c net.Conn) { io.Copy(c, c) }

func newLine(t *testing.T, target string, cfg Config) *Line {
	t.Helper()
	l, err := New(target, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func dial(t *testing.T, l *Line) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// ask sends a byte and waits for its echo.
func ask(c net.Conn, wait time.Duration) error {
	c.SetDeadline(time.Now().Add(wait))
	defer c.SetDeadline(time.Time{})
	if _, err := c.Write([]byte{'x'}); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 1))
	return err
}

func mustAnswer(t *testing.T, c net.Conn) {
	t.Helper()
	if err := ask(c, patience); err != nil {
		t.Fatalf("no answer over the line: %v", err)
	}
}

func mustBeSilent(t *testing.T, c net.Conn) {
	t.Helper()
	var ne net.Error
	if err := ask(c, 300*time.Millisecond); !errors.As(err, &ne) || !ne.Timeout() {
		t.Fatalf("a line that should be silent gave %v", err)
	}
}

func TestDelayIsOneWayAndOnce(t *testing.T) {
	const rtt = 80 * time.Millisecond
	l := newLine(t, serve(t, echo), Config{Delay: rtt / 2})
	begin := time.Now() // the line counts from when the connection is made
	c := dial(t, l)
	mustAnswer(t, c)
	if first := time.Since(begin); first < 2*rtt {
		t.Errorf("connecting and one answer took %v, less than the two round trips of %v they need", first, rtt)
	}
	best := patience
	for range 10 {
		begin := time.Now()
		mustAnswer(t, c)
		took := time.Since(begin)
		if took < rtt {
			t.Fatalf("an answer came after %v over a line of %v", took, rtt)
		}
		best = min(best, took)
	}
	if best > 2*rtt {
		t.Errorf("the best of ten answers took %v over a line of %v", best, rtt)
	}
}

func TestRateIsSharedAndHoldsEachWay(t *testing.T) {
	const rate, size, conns = 8 << 20, 1 << 20, 4
	l := newLine(t, serve(t, echo), Config{Delay: 5 * time.Millisecond, BytesPerSecond: rate})
	begin := time.Now()
	results := make(chan error, conns)
	for range conns {
		c := dial(t, l)
		go func() {
			sent := make([]byte, size)
			rand.Read(sent)
			go func() { c.Write(sent); c.(*net.TCPConn).CloseWrite() }()
			got, err := io.ReadAll(c)
			if err == nil && !bytes.Equal(got, sent) {
				err = errors.New("other bytes came back than were sent")
			}
			results <- err
		}()
	}
	for range conns {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	took := time.Since(begin)
	if least := time.Second * conns * size / rate * 9 / 10; took < least {
		t.Errorf("%d bytes each way took %v at %d B/s: less than %v", conns*size, took, rate, least)
	}
	if took > patience {
		t.Errorf("%d bytes each way took %v at %d B/s", conns*size, took, rate)
	}
	if s := l.Stats(); s.BytesUp != conns*size || s.BytesDown != conns*size {
		t.Errorf("the line counted %d bytes up and %d down, not %d", s.BytesUp, s.BytesDown, conns*size)
	}
}

func TestLimitPerConnection(t *testing.T) {
	const rate, size = 1 << 20, 512 << 10
	l := newLine(t, serve(t, func(c net.Conn) { io.Copy(io.Discard, c) }), Config{PerConn: rate})
	c := dial(t, l)
	begin := time.Now()
	c.Write(make([]byte, size))
	c.(*net.TCPConn).CloseWrite()
	io.ReadAll(c)
	if took := time.Since(begin); took < 400*time.Millisecond {
		t.Errorf("%d bytes took %v at %d B/s", size, took, rate)
	}
}

// A receiver that does not read must not make the line take in bytes without end.
func TestFullLineHoldsTheSenderBack(t *testing.T) {
	release := make(chan struct{})
	l := newLine(t, serve(t, func(c net.Conn) { <-release }), Config{Delay: time.Millisecond, BytesPerSecond: 50 << 20})
	defer close(release)
	c := dial(t, l)
	c.SetWriteDeadline(time.Now().Add(2 * time.Second))
	n, err := c.Write(make([]byte, 256<<20))
	if err == nil {
		t.Errorf("all of %d bytes were taken though nobody reads them", n)
	}
}

func TestResetReachesBothSides(t *testing.T) {
	server := make(chan error, 1)
	l := newLine(t, serve(t, func(c net.Conn) {
		_, err := io.Copy(c, c)
		server <- err
	}), Config{Delay: time.Millisecond})
	c := dial(t, l)
	mustAnswer(t, c)
	l.Reset()
	if err := ask(c, patience); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Errorf("client got %v, not a reset", err)
	}
	select {
	case err := <-server:
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("server got %v, not a reset", err)
		}
	case <-time.After(patience):
		t.Error("server was not told")
	}
	mustAnswer(t, dial(t, l))
}

func TestBlackHoleSwallowsForGood(t *testing.T) {
	l := newLine(t, serve(t, echo), Config{Delay: time.Millisecond})
	before := dial(t, l)
	mustAnswer(t, before)
	l.BlackHole()
	during := dial(t, l)
	mustBeSilent(t, before)
	mustBeSilent(t, during)
	if err := l.Resume(); err != nil {
		t.Fatal(err)
	}
	mustBeSilent(t, before)
	during.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadFull(during, make([]byte, 1)); err != nil {
		t.Errorf("what was begun in the black hole did not get through after it: %v", err)
	}
	mustAnswer(t, dial(t, l))
}

func TestHalfOpenStillReachesTheServer(t *testing.T) {
	got := make(chan byte, 10)
	l := newLine(t, serve(t, func(c net.Conn) {
		b := make([]byte, 1)
		for {
			if _, err := c.Read(b); err != nil {
				return
			}
			got <- b[0]
			c.Write(b)
		}
	}), Config{Delay: time.Millisecond})
	c := dial(t, l)
	mustAnswer(t, c)
	<-got
	l.HalfOpen()
	mustBeSilent(t, c)
	select {
	case <-got:
	case <-time.After(patience):
		t.Error("what the client sent did not reach the server")
	}
	mustAnswer(t, dial(t, l))
}

func TestServerGoneIsNotToldToTheClient(t *testing.T) {
	server := make(chan struct{})
	l := newLine(t, serve(t, func(c net.Conn) { io.Copy(c, c); server <- struct{}{} }), Config{Delay: time.Millisecond})
	c := dial(t, l)
	mustAnswer(t, c)
	l.ServerGone()
	select {
	case <-server:
	case <-time.After(patience):
		t.Fatal("server was not told")
	}
	mustBeSilent(t, c)
}

func TestStallLosesNothing(t *testing.T) {
	l := newLine(t, serve(t, echo), Config{Delay: time.Millisecond})
	for _, w := range []Way{Up, Down} {
		c := dial(t, l)
		mustAnswer(t, c)
		l.Stall(w)
		mustBeSilent(t, c)
		l.Resume()
		c.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Errorf("what was held back by a stall %v did not come after it: %v", w, err)
		}
		mustAnswer(t, c)
	}
}

func TestTrickleGoesOnSlowly(t *testing.T) {
	const size = 200
	l := newLine(t, serve(t, echo), Config{})
	c := dial(t, l)
	mustAnswer(t, c)
	l.Trickle(Down, size)
	begin := time.Now()
	c.Write(make([]byte, size))
	c.SetReadDeadline(begin.Add(patience))
	if _, err := io.ReadFull(c, make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took < 900*time.Millisecond {
		t.Errorf("%d bytes at %d B/s took %v", size, size, took)
	}
}

func TestRefuseAndAcceptAgain(t *testing.T) {
	l := newLine(t, serve(t, echo), Config{})
	old := dial(t, l)
	mustAnswer(t, old)
	for range 2 {
		l.Refuse()
		if _, err := net.Dial("tcp", l.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("dialing gave %v, not a refusal", err)
		}
		mustAnswer(t, old)
		if err := l.Resume(); err != nil {
			t.Fatal(err)
		}
		mustAnswer(t, dial(t, l))
	}
}

func TestServerThatRefusesResetsTheClient(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	l := newLine(t, ln.Addr().String(), Config{})
	c, err := net.Dial("tcp", l.Addr())
	if err == nil { // with no delay the reset can even come before dialing has ended
		defer c.Close()
		c.SetReadDeadline(time.Now().Add(patience))
		_, err = c.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("client got %v, not a reset", err)
	}
}
