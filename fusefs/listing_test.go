package fusefs_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestDirectoryOfManyNames(t *testing.T) {
	for _, plus := range []bool{true, false} {
		name := map[bool]string{true: "with attributes", false: "names alone"}[plus]
		t.Run(name, func(t *testing.T) {
			m := mount(t, func(s *setup) { s.Mount.NoReaddirplus = !plus })
			const n = 1200
			dir := m.server("dir")
			check(t, os.Mkdir(dir, 0o755))
			var want []string
			for i := range n {
				name := "file" + strings.Repeat("x", i%50) + string(rune('a'+i%26)) + "-" + strconv.Itoa(i)
				want = append(want, name)
				check(t, os.WriteFile(filepath.Join(dir, name), bytes.Repeat([]byte{'.'}, i%7), 0o600))
			}
			slices.Sort(want)
			entries, err := os.ReadDir(m.path("dir"))
			check(t, err)
			var got []string
			for _, e := range entries {
				got = append(got, e.Name())
				info, err := e.Info()
				check(t, err)
				if info.Mode() != 0o600 || !e.Type().IsRegular() {
					t.Errorf("%s has mode %v", e.Name(), info.Mode())
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%d names are listed, want %d", len(got), len(want))
			}
			check(t, os.RemoveAll(m.path("dir")))
			if _, err := os.Stat(dir); !os.IsNotExist(err) {
				t.Errorf("after the removal stat on the server gives %v", err)
			}
		})
	}
}

func TestRewoundDirectoryShowsWhatIsThereNow(t *testing.T) {
	m := mount(t)
	put(t, m.path("before"), "")
	d, err := os.Open(m.dir)
	check(t, err)
	defer d.Close()
	first, err := d.Readdirnames(-1)
	check(t, err)
	put(t, m.path("after"), "")
	check(t, os.Remove(m.path("before")))
	_, err = d.Seek(0, 0)
	check(t, err)
	second, err := d.Readdirnames(-1)
	check(t, err)
	if !slices.Equal(first, []string{"before"}) || !slices.Equal(second, []string{"after"}) {
		t.Errorf("listed are first %q and then %q", first, second)
	}
}

// A program that opens a directory, works in it by that descriptor and lists it then for the first time sees what it has done.
func TestADirectoryIsListedAsItIsWhenItIsReadFirst(t *testing.T) {
	m := mount(t)
	put(t, m.server("old"), "x")
	put(t, m.server("removed"), "x")
	_, err := os.ReadDir(m.dir)
	check(t, err)
	d, err := os.Open(m.dir)
	check(t, err)
	defer d.Close()
	fd, err := unix.Openat(int(d.Fd()), "new", unix.O_CREAT|unix.O_WRONLY, 0o644)
	check(t, err)
	unix.Close(fd)
	check(t, unix.Unlinkat(int(d.Fd()), "removed", 0))
	names, err := d.Readdirnames(-1)
	check(t, err)
	if slices.Sort(names); !slices.Equal(names, []string{"new", "old"}) {
		t.Errorf("the directory holds %q", names)
	}
}
