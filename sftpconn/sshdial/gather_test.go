package sshdial

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// pair is a TCP connection with both its ends.
func pair(t testing.TB) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		a.Close()
		b.Close()
	})
	return a, b
}

// watched looks at writes, and can hold them up.
type watched struct {
	net.Conn
	writes  atomic.Int64
	largest atomic.Int64  // bytes
	hold    chan struct{} // a write waits until it is closed; nil for never
}

func (w *watched) Write(p []byte) (int, error) {
	w.writes.Add(1)
	w.largest.Store(max(w.largest.Load(), int64(len(p))))
	if w.hold != nil {
		<-w.hold
	}
	return w.Conn.Write(p)
}

func TestGatherConnPassesEveryByteInOrder(t *testing.T) {
	a, b := pair(t)
	g := newGatherConn(a)
	defer g.Close()
	data := make([]byte, 4<<20)
	random := rand.NewChaCha8([32]byte{1})
	random.Read(data)
	go io.Copy(b, b) // echo
	go func() {
		sizes := rand.New(rand.NewPCG(1, 2))
		for rest := data; len(rest) > 0; {
			n := min(len(rest), 1+sizes.IntN(40000))
			piece := bytes.Clone(rest[:n])
			if _, err := g.Write(piece); err != nil {
				t.Error(err)
				return
			}
			clear(piece) // the writer's again
			rest = rest[n:]
		}
	}()
	got := make([]byte, 0, len(data))
	buf := make([]byte, 5000)
	for len(got) < len(data) {
		n, err := g.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, buf[:n]...)
	}
	if !bytes.Equal(got, data) {
		t.Error("the bytes differ")
	}
	if time.Since(g.lastReceived()) > time.Minute {
		t.Error(g.lastReceived())
	}
}

// A server that keeps a small packet until the one before is acknowledged, as Nagle's algorithm has it, says something twice, and is
// answered: a kernel that takes its time for the acknowledgement delays each second packet by 40 ms.
func TestGatherConnAcknowledgesAtOnce(t *testing.T) {
	const rounds = 40
	a, b := pair(t)
	if err := b.(*net.TCPConn).SetNoDelay(false); err != nil {
		t.Fatal(err)
	}
	g := newGatherConn(a)
	defer g.Close()
	g.acknowledgeAtOnce()
	go func() {
		answer := make([]byte, 1)
		for range rounds {
			for range 2 {
				if _, err := b.Write([]byte("packet")); err != nil {
					return
				}
			}
			if _, err := io.ReadFull(b, answer); err != nil {
				return
			}
		}
	}()
	began := time.Now()
	said := make([]byte, 2*len("packet"))
	for range rounds {
		if _, err := io.ReadFull(g, said); err != nil {
			t.Fatal(err)
		}
		if _, err := g.Write([]byte{0}); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); took > rounds*20*time.Millisecond {
		t.Errorf("%d answers took %v", rounds, took)
	}
}

func TestGatherConnGathersWhileTheSocketIsBusyAndIsBounded(t *testing.T) {
	a, b := pair(t)
	w := &watched{Conn: a, hold: make(chan struct{})}
	g := newGatherConn(w)
	defer g.Close()
	const n, size = 1000, 1000
	written := make(chan int, n)
	go func() {
		for i := range n {
			if _, err := g.Write(make([]byte, size)); err != nil {
				t.Error(err)
				return
			}
			written <- i
		}
		close(written)
	}()
	// It stops at the limit while nothing goes out.
	deadline := time.Now().Add(20 * time.Second)
	for len(written) < gatherLimit/size {
		if time.Now().After(deadline) {
			t.Fatalf("only %d writes were taken", len(written))
		}
		time.Sleep(time.Millisecond)
	}
	g.mu.Lock()
	pending := len(g.pending)
	g.mu.Unlock()
	if pending > gatherLimit+size {
		t.Errorf("%d bytes wait for the socket", pending)
	}
	close(w.hold)
	if _, err := io.CopyN(io.Discard, b, n*size); err != nil {
		t.Fatal(err)
	}
	for range written {
	}
	if l := w.largest.Load(); l < gatherLimit {
		t.Errorf("what had come together, %d bytes, was not written at once: %d bytes", pending, l)
	}
}

// What the other side's kernel has taken counts, whether anybody reads it there or not; what it has no room for is on its way.
func TestGatherConnTellsWhatHasArrived(t *testing.T) {
	a, b := pair(t)
	g := newGatherConn(a)
	defer g.Close()
	arrived := func(what string, ok func(bytes, more uint64) bool) {
		t.Helper()
		for begun := time.Now(); ; time.Sleep(time.Millisecond) {
			bytes, more, _ := g.arrived()
			if ok(bytes, more) {
				return
			}
			if time.Since(begun) > 10*time.Second {
				t.Fatalf("%s: %d bytes have arrived, %d more on their way", what, bytes, more)
			}
		}
	}
	if _, err := g.Write(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	arrived("1000 bytes", func(bytes, more uint64) bool { return bytes == 1000 && more == 0 })
	written := make(chan error, 1)
	go func() {
		_, err := g.Write(make([]byte, 64<<20))
		written <- err
	}()
	arrived("more than the other side takes", func(bytes, more uint64) bool { return bytes > 1000 && more > 32<<20 })
	go io.Copy(io.Discard, b)
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	arrived("all", func(bytes, more uint64) bool { return bytes == 1000+64<<20 && more == 0 })
}

func TestGatherConnTellsAFailedWrite(t *testing.T) {
	a, b := pair(t)
	g := newGatherConn(a)
	defer g.Close()
	b.(*net.TCPConn).SetLinger(0)
	b.Close()
	deadline := time.Now().Add(20 * time.Second)
	for {
		if _, err := g.Write([]byte("x")); err != nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("writing to a reset connection goes on")
		}
		time.Sleep(time.Millisecond)
	}
	<-g.done
	if _, err := g.Read(make([]byte, 1)); err == nil {
		t.Error("read from a reset connection")
	}
}

func TestGatherConnCloseWakesWriters(t *testing.T) {
	a, _ := pair(t)
	w := &watched{Conn: a, hold: make(chan struct{})}
	g := newGatherConn(w)
	stuck := make(chan error)
	go func() {
		for {
			if _, err := g.Write(make([]byte, 10000)); err != nil {
				stuck <- err
				return
			}
		}
	}()
	for deadline := time.Now().Add(20 * time.Second); w.writes.Load() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing is written")
		}
	}
	g.Close()
	select {
	case err := <-stuck:
		if !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("a writer waits on after Close")
	}
	close(w.hold)
	<-g.done
}
