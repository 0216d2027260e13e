package tests

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Two processes append to one file: no line is lost or cut.
func TestAppendByTwoProcesses(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	m := s.mount()
	write(t, m.path("log"), "begin\n")
	const lines = 500
	a := startHelper(t, "append", m.path("log"), "a", fmt.Sprint(lines))
	b := startHelper(t, "append", m.path("log"), "b", fmt.Sprint(lines))
	a.wait(t)
	b.wait(t)
	got := strings.Split(strings.TrimSuffix(read(t, s.local("log")), "\n"), "\n")
	if len(got) != 2*lines+1 || got[0] != "begin" {
		t.Fatalf("%d lines, the first %q; want %d", len(got), got[0], 2*lines+1)
	}
	next := map[string]int{}
	for _, line := range got[1:] {
		var who string
		var n int
		if _, err := fmt.Sscanf(line, "%1s %06d", &who, &n); err != nil || n != next[who] {
			t.Fatalf("line %q, want number %d", line, next[who])
		}
		next[who]++
	}
}

func TestLocksBetweenProcesses(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	m := s.mount()
	for _, kind := range []string{"count-fcntl", "count-flock"} {
		file := m.path(kind)
		write(t, file, "00000000")
		const times = 150
		var all []*background
		for range 3 {
			all = append(all, startHelper(t, kind, file, fmt.Sprint(times)))
		}
		for _, b := range all {
			b.wait(t)
		}
		wantContent(t, s.local(kind), fmt.Sprintf("%08d", 3*times))
	}
	// A lock ends with its process, however that ends.
	holder := startHelper(t, "hold-flock", m.path("count-flock"))
	f, err := os.OpenFile(m.path("count-flock"), os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	eventually(t, 20*time.Second, "the other process has the lock", func() (bool, string) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
		}
		return errors.Is(err, syscall.EWOULDBLOCK), fmt.Sprint(err)
	})
	_ = holder.cmd.Process.Kill()
	must(t, within(t, 20*time.Second, "getting the lock of a killed process", func() error {
		return syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
	}))
}

// A write in the middle, a hole, a cut and growth, by several handles of one file: what each sees is what was written last.
func TestHandlesOfOneFileAgree(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	m := s.mount()
	var open [4]*os.File
	for i := range open {
		f, err := os.OpenFile(m.path("f"), os.O_RDWR|os.O_CREATE, 0o644)
		must(t, err)
		defer f.Close()
		open[i] = f
	}
	want := []byte{}
	put := func(p []byte, off int) {
		if n := off + len(p); n > len(want) {
			want = append(want, make([]byte, n-len(want))...)
		}
		copy(want[off:], p)
	}
	for i := range 60 {
		f := open[i%len(open)]
		off := (i * 37_123) % 400_000
		p := pseudoRandom(uint64(i), 1+(i*7919)%60_000)
		_, err := f.WriteAt(p, int64(off))
		must(t, err)
		put(p, off)
		if i%13 == 12 {
			size := len(want) * 2 / 3
			must(t, f.Truncate(int64(size)))
			want = want[:size:size]
		}
		other := open[(i+1)%len(open)]
		got, err := io.ReadAll(io.NewSectionReader(other, 0, 1<<30))
		must(t, err)
		if !bytes.Equal(got, want) {
			t.Fatalf("after step %d another handle reads %d bytes that are not the %d written", i, len(got), len(want))
		}
	}
	for _, f := range open {
		must(t, f.Close())
	}
	wantContent(t, s.local("f"), string(want))
}

// Reads and writes of many threads in one process at once, as databases and downloaders do them.
func TestRaceParallelReadersAndWritersOfOneFile(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	m := s.mount()
	const parts, size = 16, 400_000
	f, err := os.OpenFile(m.path("f"), os.O_RDWR|os.O_CREATE, 0o644)
	must(t, err)
	defer f.Close()
	must(t, f.Truncate(parts*size))
	var wg sync.WaitGroup
	errs := make(chan error, parts)
	for i := range parts {
		wg.Go(func() {
			want := pseudoRandom(uint64(i), size)
			for at := 0; at < size; at += 33_333 {
				if _, err := f.WriteAt(want[at:min(at+33_333, size)], int64(i*size+at)); err != nil {
					errs <- err
					return
				}
			}
			got := make([]byte, size)
			if _, err := f.ReadAt(got, int64(i*size)); err != nil || !bytes.Equal(got, want) {
				errs <- fmt.Errorf("part %d reads back differently (%v)", i, err)
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	must(t, f.Close())
	var whole []byte
	for i := range parts {
		whole = append(whole, pseudoRandom(uint64(i), size)...)
	}
	wantContent(t, s.local("f"), string(whole))
}
