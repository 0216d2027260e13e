package session

import (
	"testing"

	"sshmount/sftpconn/sftptest"
)

// window is how many requests the benchmarks keep in flight.
const window = 16

// pipelined keeps window calls in flight, each with a buffer of its own, for b.N calls.
func pipelined(b *testing.B, size int, start func(i int, buf []byte) *Call) {
	b.Helper()
	bufs := make([][]byte, window)
	calls := make([]*Call, window)
	for i := range bufs {
		bufs[i] = make([]byte, size)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N + window {
		slot := i % window
		if c := calls[slot]; c != nil {
			if err := c.Wait(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		calls[slot] = nil
		if i < b.N {
			calls[slot] = start(i, bufs[slot])
		}
	}
}

// pieces of the benchmarks' file, which stays in the page cache.
const pieces = 64

func benchFile(b *testing.B) (*Session, string) {
	s := connect(b, sftptest.New(b))
	f := must(b, s.OpenFile("f", OpenRead|OpenWrite|OpenCreate, Attr{})).Handle()
	size := int(limits(b, s).MaxWrite)
	for i := range pieces {
		must(b, s.Write(f, uint64(i*size), make([]byte, size)))
	}
	return s, f
}

func BenchmarkRead(b *testing.B) {
	s, f := benchFile(b)
	size := int(limits(b, s).MaxRead)
	pipelined(b, size, func(i int, buf []byte) *Call { return s.Read(f, uint64(i%pieces*size), buf) })
}

func BenchmarkWrite(b *testing.B) {
	s, f := benchFile(b)
	size := int(limits(b, s).MaxWrite)
	pipelined(b, size, func(i int, buf []byte) *Call { return s.Write(f, uint64(i%pieces*size), buf) })
}

func BenchmarkRead4K(b *testing.B) {
	s, f := benchFile(b)
	pipelined(b, 4096, func(i int, buf []byte) *Call { return s.Read(f, uint64(i%pieces*4096), buf) })
}

func BenchmarkLstat(b *testing.B) {
	s, _ := benchFile(b)
	pipelined(b, 0, func(int, []byte) *Call { return s.Lstat("f") })
}
