package sshdial

import (
	"net"
	"strconv"
	"sync"
	"testing"
)

func o2s(n int) string { return strconv.Itoa(n) }

// gate is a TCP proxy that can stop passing bytes on.
type gate struct {
	port int
	mu   sync.RWMutex // held for writing while it stalls
	once sync.Once
}

func newGate(t *testing.T, to string) *gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{port: l.Addr().(*net.TCPAddr).Port}
	var wait sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	wait.Go(func() {
		for {
			a, err := l.Accept()
			if err != nil {
				return
			}
			b, err := net.Dial("tcp", to)
			if err != nil {
				a.Close()
				continue
			}
			mu.Lock()
			conns = append(conns, a, b)
			mu.Unlock()
			wait.Go(func() { g.pass(a, b) })
			wait.Go(func() { g.pass(b, a) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		g.once.Do(g.mu.Lock)
		g.mu.Unlock()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		wait.Wait()
	})
	return g
}

func (g *gate) pass(from, to net.Conn) {
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		g.mu.RLock()
		_, err = to.Write(buf[:n])
		g.mu.RUnlock()
		if err != nil {
			return
		}
	}
}

// stall stops it, until the test's end.
func (g *gate) stall() { g.once.Do(g.mu.Lock) }
