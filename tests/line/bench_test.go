package line

import (
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// BenchmarkGigabit sends plain TCP down a line of 50 ms and 1 Gbit/s (125 MB/s), and
// reports the rate and what share of one CPU the whole test process took for it.
func BenchmarkGigabit(b *testing.B) {
	const size = 256 << 20
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	go func() {
		block := make([]byte, 1<<20)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			for range size / len(block) {
				c.Write(block)
			}
			c.Close()
		}
	}()
	l, err := New(ln.Addr().String(), Config{Delay: 25 * time.Millisecond, BytesPerSecond: 125e6})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	cpu := func() time.Duration {
		var u syscall.Rusage
		syscall.Getrusage(syscall.RUSAGE_SELF, &u)
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	begin := cpu()
	b.SetBytes(size)
	for b.Loop() {
		c, err := net.Dial("tcp", l.Addr())
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{c}, make([]byte, 1<<20)); n != size {
			b.Fatalf("%d bytes came, %v", n, err)
		}
		c.Close()
	}
	b.ReportMetric(100*(cpu()-begin).Seconds()/b.Elapsed().Seconds(), "%CPU")
}
