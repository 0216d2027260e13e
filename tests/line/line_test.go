package line

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

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
