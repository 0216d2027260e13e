package fusefs_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// noise is reproducible content that does not repeat.
func noise(seed uint64, n int) []byte {
	var key [32]byte
	key[0] = byte(seed)
	p := make([]byte, n)
	rand.NewChaCha8(key).Read(p)
	return p
}

func same(t testing.TB, path string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	check(t, err)
	if !bytes.Equal(got, want) {
		t.Errorf("%s: %d bytes are there that differ from the %d wanted", path, len(got), len(want))
	}
}

func TestContentArrivesAndReturns(t *testing.T) {
	for name, change := range map[string]func(*setup){
		"default":         func(*setup) {},
		"direct_io":       func(s *setup) { s.Mount.DirectIO, s.Cache.DirectIO = true, true },
		"single threaded": func(s *setup) { s.Mount.SingleThreaded = true },
		"small reads":     func(s *setup) { s.Mount.MaxRead = 8192 },
		"no kernel cache": func(s *setup) { s.Cache.SyncReads, s.Cache.SyncWrites = true, true },
		"kernel_cache":    func(s *setup) { s.Mount.KernelCache = true },
	} {
		t.Run(name, func(t *testing.T) {
			m := mount(t, change)
			sizes := []int{0, 1, 4095, 4096, 131073, 5<<20 + 17}
			for i, n := range sizes {
				check(t, os.WriteFile(m.server(fmt.Sprint("down", i)), noise(uint64(i), n), 0o644))
			}
			for i, n := range sizes {
				want := noise(uint64(i), n)
				up := fmt.Sprint("up", i)
				check(t, os.WriteFile(m.path(up), want, 0o644))
				same(t, m.server(up), want)
				same(t, m.path(fmt.Sprint("down", i)), want)
				same(t, m.path(up), want)
			}
		})
	}
}

func TestManyReadersAndWriters(t *testing.T) {
	m := mount(t, func(s *setup) { s.Cache.ReadBudget, s.Cache.WriteBudget = 8<<20, 4<<20 })
	const n = 2 << 20
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			want := noise(uint64(i), n)
			path := m.path(fmt.Sprint("file", i))
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Error(err)
				return
			}
			f, err := os.Open(path)
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			r := rand.New(rand.NewPCG(uint64(i), 1))
			buf := make([]byte, 70000)
			for range 100 {
				off := r.Int64N(n)
				k, err := f.ReadAt(buf, off)
				if err != nil && err != io.EOF {
					t.Error(err)
					return
				}
				if !bytes.Equal(buf[:k], want[off:off+int64(k)]) || k < len(buf) && off+int64(k) != n {
					t.Errorf("file %d: %d bytes at %d are wrong", i, k, off)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestUnlinkedOpenFileStaysUsable(t *testing.T) {
	m := mount(t)
	f, err := os.OpenFile(m.path("file"), os.O_RDWR|os.O_CREATE, 0o644)
	check(t, err)
	defer f.Close()
	_, err = f.WriteString("before and ")
	check(t, err)
	check(t, os.Remove(m.path("file")))
	if _, err := os.Lstat(m.server("file")); !os.IsNotExist(err) {
		t.Errorf("after the removal lstat on the server gives %v", err)
	}
	_, err = f.WriteString("after")
	check(t, err)
	got := make([]byte, 100)
	n, err := f.ReadAt(got, 0)
	if err != io.EOF || string(got[:n]) != "before and after" {
		t.Errorf("read %q, %v", got[:n], err)
	}
	check(t, f.Truncate(6))
	st, err := f.Stat()
	check(t, err)
	if st.Size() != 6 {
		t.Errorf("its size is %d after a truncation to 6", st.Size())
	}
	put(t, m.path("file"), "another")
	n, err = f.ReadAt(got, 0)
	if err != io.EOF || string(got[:n]) != "before" {
		t.Errorf("with another file of its name there, read %q, %v", got[:n], err)
	}
	has(t, m.path("file"), "another")
	check(t, f.Sync())
}

func TestAppendersOfOneMachineDoNotOverwriteEachOther(t *testing.T) {
	m := mount(t)
	put(t, m.server("log"), "first\n")
	const lines = 60
	var wg sync.WaitGroup
	for _, who := range []string{"a", "b", "c"} {
		wg.Go(func() {
			script := fmt.Sprintf(`i=0; while [ $i -lt %d ]; do echo %s$i; i=$((i+1)); done >>"$0"`, lines, who)
			if out, err := exec.Command("sh", "-c", script, m.path("log")).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	wg.Wait()
	for _, path := range []string{m.path("log"), m.server("log")} {
		got, err := os.ReadFile(path)
		check(t, err)
		count := map[string]int{}
		for line := range strings.Lines(string(got)) {
			count[line]++
		}
		if len(count) != 3*lines+1 || count["first\n"] != 1 || count["b59\n"] != 1 {
			t.Errorf("%s has %d different lines, want %d", path, len(count), 3*lines+1)
		}
	}
}

func TestTruncationAtOpen(t *testing.T) {
	m := mount(t)
	put(t, m.server("file"), "long content")
	reader, err := os.Open(m.path("file"))
	check(t, err)
	defer reader.Close()
	_, err = io.ReadAll(reader)
	check(t, err)
	f, err := os.OpenFile(m.path("file"), os.O_WRONLY|os.O_TRUNC, 0)
	check(t, err)
	if st, err := reader.Stat(); err != nil || st.Size() != 0 {
		t.Errorf("another descriptor sees %v, %v", st, err)
	}
	if n, err := reader.ReadAt(make([]byte, 20), 0); n != 0 || err != io.EOF {
		t.Errorf("another descriptor reads %d bytes, %v", n, err)
	}
	_, err = f.WriteString("new")
	check(t, err)
	check(t, f.Close())
	has(t, m.server("file"), "new")
	has(t, m.path("file"), "new")
}

func TestTruncationCutsAndExtends(t *testing.T) {
	m := mount(t)
	put(t, m.path("file"), "0123456789")
	check(t, os.Truncate(m.path("file"), 4))
	has(t, m.path("file"), "0123")
	has(t, m.server("file"), "0123")
	check(t, os.Truncate(m.path("file"), 8))
	has(t, m.path("file"), "0123\x00\x00\x00\x00")
	has(t, m.server("file"), "0123\x00\x00\x00\x00")
	const far = 5 << 30
	f, err := os.OpenFile(m.path("file"), os.O_RDWR, 0)
	check(t, err)
	_, err = f.WriteAt([]byte("end"), far)
	check(t, err)
	check(t, f.Close())
	st, err := os.Stat(m.server("file"))
	check(t, err)
	if st.Size() != far+3 {
		t.Errorf("on the server it has %d bytes, want %d", st.Size(), int64(far+3))
	}
	if mine := lstat(t, m.path("file")); mine.Size != far+3 || mine.Blocks != (far+3+511)/512 {
		t.Errorf("here it has %d bytes and %d blocks", mine.Size, mine.Blocks)
	}
}

func TestMappings(t *testing.T) {
	m := mount(t)
	want := noise(1, 3*4096)
	check(t, os.WriteFile(m.server("file"), want, 0o644))
	f, err := os.OpenFile(m.path("file"), os.O_RDWR, 0)
	check(t, err)
	defer f.Close()

	private, err := unix.Mmap(int(f.Fd()), 0, len(want), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE)
	check(t, err)
	if !bytes.Equal(private, want) {
		t.Error("a private mapping shows other bytes")
	}
	private[0]++
	check(t, unix.Munmap(private))
	same(t, m.path("file"), want)

	shared, err := unix.Mmap(int(f.Fd()), 0, len(want), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	check(t, err)
	copy(shared[5000:], "through a mapping")
	copy(want[5000:], "through a mapping")
	check(t, unix.Msync(shared, unix.MS_SYNC))
	check(t, f.Sync())
	same(t, m.server("file"), want)
	copy(shared, "and at its end")
	copy(want, "and at its end")
	check(t, unix.Munmap(shared))
	check(t, f.Close())
	same(t, m.path("file"), want)
	same(t, m.server("file"), want)
}

func TestMappingOfAnAppendersFile(t *testing.T) {
	m := mount(t)
	want := noise(1, 2*4096)
	check(t, os.WriteFile(m.server("file"), want, 0o644))
	f, err := os.OpenFile(m.path("file"), os.O_RDWR|os.O_APPEND, 0)
	check(t, err)
	defer f.Close()
	shared, err := unix.Mmap(int(f.Fd()), 0, len(want), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	check(t, err)
	copy(shared[4000:], "in the middle of it")
	copy(want[4000:], "in the middle of it")
	check(t, unix.Msync(shared, unix.MS_SYNC))
	check(t, unix.Munmap(shared))
	_, err = f.WriteString("and behind it")
	check(t, err)
	check(t, f.Close())
	want = append(want, "and behind it"...)
	same(t, m.server("file"), want)
	same(t, m.path("file"), want)
}

func TestCopyFileRange(t *testing.T) {
	m := mount(t)
	want := noise(2, 3<<20)
	check(t, os.WriteFile(m.server("src"), want, 0o644))
	src, err := os.OpenFile(m.path("src"), os.O_RDWR, 0)
	check(t, err)
	defer src.Close()
	_, err = src.WriteAt([]byte("unsaved"), 100)
	check(t, err)
	copy(want[100:], "unsaved")
	dst, err := os.Create(m.path("dst"))
	check(t, err)
	defer dst.Close()
	var from, to int64
	for from < int64(len(want)) {
		n, err := unix.CopyFileRange(int(src.Fd()), &from, int(dst.Fd()), &to, len(want), 0)
		check(t, err)
		if n == 0 {
			t.Fatalf("the copy ends after %d bytes", from)
		}
	}
	same(t, m.path("dst"), want)
	check(t, dst.Close())
	same(t, m.server("dst"), want)

	from, to = 1000, 10
	part, err := os.OpenFile(m.path("dst"), os.O_RDWR, 0)
	check(t, err)
	defer part.Close()
	n, err := unix.CopyFileRange(int(src.Fd()), &from, int(part.Fd()), &to, 5000, 0)
	if err != nil || n != 5000 {
		t.Errorf("a copy of 5000 bytes copied %d, %v", n, err)
	}
	after := bytes.Clone(want)
	copy(after[10:], want[1000:6000])
	same(t, m.path("dst"), after)
}
