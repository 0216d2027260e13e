package tests

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// loadVariable is how long the programs of TestManyProgramsAtOnce work, as 10m; loadTime if it is not set.
const (
	loadVariable = "SSHMOUNT_TEST_LOAD"
	loadTime     = 16 * time.Second
)

// limited is a server whose sftp-server gets limits of ulimit(1).
func limited(t *testing.T, limits string) *server {
	t.Helper()
	script := filepath.Join(testDir(t, "limited"), "sftp-server")
	write(t, script, "#!/bin/sh\nulimit "+limits+" && exec "+sftpServer+"\n")
	must(t, os.Chmod(script, 0o755))
	return newServerWith(t, serverOptions{subsystem: script})
}

// use is what the process of a mount takes.
type use struct {
	goroutines int
	resident   int64 // bytes
}

func (m *mounted) use(t *testing.T) use {
	t.Helper()
	status := read(t, fmt.Sprintf("/proc/%d/status", m.cmd.Process.Pid))
	_, rest, _ := strings.Cut(status, "VmRSS:")
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	must(t, err)
	return use{m.report(t).Process.Goroutines, kib << 10}
}

// busyProgram works in a directory of its own until there is a file "stop" beside it: copies in, compares, moves, appends,
// lists, removes. Any wrong byte and any error ends it with a failure.
const busyProgram = `
cd "$1"; me=$2; local=$3
mkdir "$me"; cd "$me"
i=0
while :; do # once at least: on a busy machine the time may be over before it begins
	i=$((i + 1))
	part=$local/part$(((i + me) % 5))
	cp "$part" a; cmp "$part" a; mv a b; cp b c; cmp "$part" c
	cat "$part" "$part" > d; cat b >> c; cmp c d
	echo "line $i" > note; echo "more $i" >> note
	[ "$(cat note)" = "$(printf 'line %d\nmore %d' $i $i)" ]
	mkdir -p e/f; mv b e/f/g; [ "$(ls e/f)" = g ]; cmp "$part" e/f/g
	ln -s g e/f/h; cmp "$part" e/f/h
	rm -r c d e
	if [ -e "$local/stop" ]; then break; fi
done
rm note
echo "$i rounds"
`

// Many programs at once see right data, and when they are done the mount takes no more than it did after the first of them.
func TestManyProgramsAtOnce(t *testing.T) {
	onlySshmount(t)
	const programs = 64
	work := loadTime
	if given := os.Getenv(loadVariable); given != "" {
		var err error
		work, err = time.ParseDuration(given)
		must(t, err)
	}
	s := newServer(t)
	local := testDir(t, "local")
	for i, size := range []int{0, 100, 5_000, 70_000, 600_000} {
		write(t, filepath.Join(local, fmt.Sprint("part", i)), string(pseudoRandom(uint64(i), size)))
	}
	m := s.mount()
	m.watchdog.Reset(work + 2*programLimit)
	// first lasts long enough for everything that is kept for later (channels, pools) to be there.
	uses := map[string]use{}
	for _, phase := range []struct {
		name string
		time time.Duration
	}{{"first", work / 4}, {"then", work * 3 / 4}} {
		must(t, os.Mkdir(m.path(phase.name), 0o755))
		var all []*background
		for i := range programs {
			all = append(all, start(t, "", nil, "sh", "-euc", busyProgram, "sh", m.path(phase.name), fmt.Sprint(i), local))
		}
		time.Sleep(phase.time)
		write(t, filepath.Join(local, "stop"), "")
		for _, b := range all {
			if out := b.wait(t); !strings.Contains(out, "rounds") {
				t.Errorf("a program did nothing: %s", out)
			}
		}
		must(t, os.Remove(filepath.Join(local, "stop")))
		left, err := filepath.Glob(s.local(phase.name + "/*/*"))
		if err != nil || len(left) > 0 {
			t.Errorf("on the server are left: %v, %v", left, err)
		}
		must(t, os.RemoveAll(m.path(phase.name)))
		uses[phase.name] = m.use(t)
	}
	first, then := uses["first"], uses["then"]
	if then.goroutines > first.goroutines+programs {
		t.Errorf("%d goroutines after a while, and %d at the end", first.goroutines, then.goroutines)
	}
	if most := max(first.resident*3/2, 160<<20); then.resident > most {
		t.Errorf("%d MiB after a while, and %d at the end", first.resident>>20, then.resident>>20)
	}
}

// Fifty mounts of one server work side by side.
func TestManyMountsOfOneServer(t *testing.T) {
	const mounts = 50
	s := newServer(t)
	all := make([]*mounted, mounts)
	for i := range all {
		dir := fmt.Sprint("dir", i)
		must(t, os.Mkdir(s.local(dir), 0o755))
		write(t, s.local(dir, "f"), dir)
		all[i] = startMount(t, []string{"-F", s.config, s.remote(dir), mountPoint(t)}, nil)
	}
	for i, m := range all {
		eventually(t, time.Minute, "mounted", func() (bool, string) {
			got, err := os.ReadFile(m.path("f"))
			return string(got) == fmt.Sprint("dir", i), fmt.Sprint(err)
		})
		write(t, m.path("g"), fmt.Sprint("by ", i))
	}
	for i := range all {
		wantContent(t, s.local(fmt.Sprint("dir", i), "g"), fmt.Sprint("by ", i))
	}
}

// Two thousand files are open at once, and each has its own bytes.
func TestTwoThousandOpenFiles(t *testing.T) {
	t.Parallel()
	s := limited(t, "-n 4096")
	m := s.mount()
	var files []*os.File
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	for i := range 2000 {
		f, err := os.Create(m.path(fmt.Sprint("f", i)))
		must(t, err)
		files = append(files, f)
		_, err = fmt.Fprint(f, "file ", i)
		must(t, err)
	}
	for i, f := range files {
		buf := make([]byte, 20)
		n, _ := f.ReadAt(buf, 0)
		if want := fmt.Sprint("file ", i); string(buf[:n]) != want {
			t.Fatalf("%q, want %q", buf[:n], want)
		}
		must(t, f.Close())
	}
	files = nil
	for i := range 2000 {
		wantContent(t, s.local(fmt.Sprint("f", i)), fmt.Sprint("file ", i))
	}
}

// A server with few file descriptors serves whoever opens few files at a time; who opens too many gets an error, and the
// others don't notice.
func TestServerWithTenFileDescriptorsLeft(t *testing.T) {
	t.Parallel()
	s := limited(t, "-n 16") // some six are taken from the start
	must(t, os.Mkdir(s.local("d"), 0o755))
	for i := range 60 {
		write(t, s.local("d", fmt.Sprintf("f%02d", i)), fmt.Sprint("content ", i))
	}
	m := s.mount()
	for range 2 {
		for i := range 60 {
			wantContent(t, m.path("d", fmt.Sprintf("f%02d", i)), fmt.Sprint("content ", i))
		}
		run(t, "", "cp", "-r", m.path("d"), m.path("copy"))
		run(t, "", "diff", "-r", m.path("d"), s.local("copy"))
		run(t, "", "rm", "-r", m.path("copy"))
		var files []*os.File
		var err error
		for i := range 60 {
			var f *os.File
			if f, err = os.Create(m.path(fmt.Sprint("held", i))); err != nil {
				break
			}
			files = append(files, f)
		}
		if len(files) < 4 || err == nil {
			t.Errorf("%d files could be opened at once, and then: %v", len(files), err)
		}
		var errno syscall.Errno
		if !errors.As(err, &errno) || errno == syscall.EEXIST || errno == syscall.ENOENT || errno == syscall.ENOSPC {
			t.Errorf("the error is %v", err)
		}
		for _, f := range files {
			_, err := f.WriteString("held")
			must(t, errors.Join(err, f.Close()))
		}
		for i := range files {
			wantContent(t, s.local(fmt.Sprint("held", i)), "held")
			must(t, os.Remove(m.path(fmt.Sprint("held", i))))
		}
	}
}
