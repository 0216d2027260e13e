package line

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

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
