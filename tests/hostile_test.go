package tests

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// newDouble is a server that answers in one of the ways of doubles.
func newDouble(t *testing.T, way string) *server {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	script := filepath.Join(testDir(t, "double"), "sftp-server")
	write(t, script, fmt.Sprintf("#!/bin/sh\n%s=double exec '%s' '%s'\n", helperVariable, self, way))
	must(t, os.Chmod(script, 0o755))
	return newServerWith(t, serverOptions{subsystem: script})
}

// However a server cuts and orders its answers, programs see right bytes.
func TestOddAnswersMakeRightBytes(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"half of what was asked for", "no byte, the first time", "in another order"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			s := newDouble(t, way)
			want := pseudoRandom(11, 3<<20+77)
			write(t, s.local("large"), string(want))
			must(t, os.Mkdir(s.local("d"), 0o755))
			var names []string
			for i := range 40 {
				name := fmt.Sprintf("small%02d", i)
				names = append(names, name)
				write(t, s.local("d/"+name), fmt.Sprint("content ", i))
			}
			m := s.mount()
			if got := read(t, m.path("large")); got != string(want) {
				t.Errorf("a large file differs: %d of %d bytes", len(got), len(want))
			}
			f, err := os.Open(m.path("large"))
			must(t, err)
			defer f.Close()
			for _, at := range []int64{2<<20 + 5, 17, 3 << 20, 1 << 20} {
				buf := make([]byte, 70)
				if _, err := f.ReadAt(buf, at); err != nil || !bytes.Equal(buf, want[at:][:70]) {
					t.Errorf("70 bytes at %d are wrong, or: %v", at, err)
				}
			}
			for i, name := range names {
				wantContent(t, m.path("d/"+name), fmt.Sprint("content ", i))
			}
			write(t, m.path("d/new"), string(want))
			must(t, os.Rename(m.path("d/new"), m.path("moved")))
			wantContent(t, s.local("moved"), string(want))
			must(t, os.RemoveAll(m.path("d")))
			if _, err := os.Stat(s.local("d")); !os.IsNotExist(err) {
				t.Errorf("the directory is still there: %v", err)
			}
		})
	}
}

// As on NFS: make compares the times of what was touched and of what was written.
func TestATouchedFileHasATimeOfTheServersClock(t *testing.T) {
	t.Parallel()
	s := newDouble(t, "an hour ahead")
	m := s.mount()
	write(t, m.path("written"), "x")
	old := time.Now().Add(-24 * time.Hour)
	write(t, s.local("touched"), "x")
	must(t, os.Chtimes(s.local("touched"), old, old))
	run(t, m.point, "touch", "touched")
	st, err := os.Stat(s.local("touched"))
	must(t, err)
	if d := time.Until(st.ModTime()); d < 59*time.Minute || d > 61*time.Minute {
		t.Errorf("its time is %v from now, want an hour", d)
	}
	run(t, m.point, "touch", "-d", "2001-02-03 04:05:06 UTC", "touched")
	st, err = os.Stat(s.local("touched"))
	must(t, err)
	if want := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC); !st.ModTime().Equal(want) {
		t.Errorf("its time is %v, want %v", st.ModTime().UTC(), want)
	}
}

// As those of sysfs: their size is that of a page, their content is some bytes, and it changes while size and time stay. Programs see
// those bytes, and no zeros behind them.
func TestFilesThatEndBeforeTheirSize(t *testing.T) {
	t.Parallel()
	s := newDouble(t, "an end before the size")
	old := time.Now().Add(-time.Hour)
	put := func(content string) {
		t.Helper()
		write(t, s.local("f"), content+strings.Repeat("?", 4090))
		must(t, os.Chtimes(s.local("f"), old, old))
	}
	put("65536\n")
	for _, options := range [][]string{nil, {"-o", "attr_timeout=0"}} {
		t.Run(fmt.Sprint(options), func(t *testing.T) {
			m := s.mount(options...)
			for _, content := range []string{"65536\n", "65536\n", "1500 \n", "9000 \n"} {
				put(content)
				for range 2 {
					if _, err := os.Stat(m.path("f")); err != nil {
						t.Error(err)
					}
					wantContent(t, m.path("f"), content)
				}
			}
			out := filepath.Join(t.TempDir(), "copy")
			run(t, "", "cp", m.path("f"), out)
			wantContent(t, out, "9000 \n")
		})
	}
}

// A server whose answers to READ can't be used makes reads fail, soon and for the file alone: the rest of the mount works on.
func TestUselessAnswersFailTheReadAlone(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"never a byte", "more than was asked for"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			s := newDouble(t, way)
			write(t, s.local("f"), "content")
			m := s.mount()
			for range 2 {
				begun := time.Now()
				_, err := os.ReadFile(m.path("f"))
				wantErrno(t, "a read", err, syscall.EIO)
				if d := time.Since(begun); d > time.Minute {
					t.Errorf("it took %v to fail", d)
				}
			}
			if st, err := os.Stat(m.path("f")); err != nil || st.Size() != 7 {
				t.Errorf("stat: %v, %v", st, err)
			}
			write(t, m.path("g"), "written")
			wantContent(t, s.local("g"), "written")
		})
	}
}
