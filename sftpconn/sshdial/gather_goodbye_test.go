package sshdial

import (
	"errors"
	"io"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// An sshd notes a reset as an error of the line, at each end of a mount.
func TestAConnectionThatOwesNothingEndsInOrder(t *testing.T) {
	a, b := pair(t)
	g := newGatherConn(a)
	if _, err := g.Write(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	g.leave()
	g.Close()
	if n, err := io.Copy(io.Discard, b); n != 1000 || err != nil {
		t.Errorf("the other side reads %d bytes, then %v; want 1000 and the end", n, err)
	}
}

// What has not arrived by then could overtake what the next connection sends.
func TestAConnectionThatOwesSomethingIsReset(t *testing.T) {
	a, b := pair(t)
	g := newGatherConn(a)
	go g.Write(make([]byte, 64<<20))
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if bytes, more, _ := g.arrived(); bytes > 0 && more > 32<<20 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the other side takes all")
		}
	}
	g.leave()
	g.Close()
	if n, err := io.Copy(io.Discard, b); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("the other side reads %d bytes, then %v; want a reset", n, err)
	}
}
