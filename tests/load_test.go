package tests

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
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

// Where the bytes that can't be delivered can't be rescued either, the writer, the log and the mount's status say so, and
// the mount works on.
func TestFullDiskHereToo(t *testing.T) {
	needRoot(t)
	onlySshmount(t)
	s := newServer(t)
	smallDisk(t, s, 1<<20)
	state := testDir(t, "state")
	must(t, syscall.Mount("sshmount-test", state, "tmpfs", 0, "size=64k"))
	t.Cleanup(func() { _ = syscall.Unmount(state, syscall.MNT_DETACH) })
	m := mountArgs(t, []string{"-F", s.config, s.remote(), mountPoint(t)}, func(cmd *exec.Cmd) {
		cmd.Env = append(cmd.Env, "XDG_STATE_HOME="+state)
	})
	content := pseudoRandom(3, 3<<20)
	err := os.WriteFile(m.path("big"), content, 0o644)
	wantErrno(t, "a file bigger than the disk", err, syscall.ENOSPC)
	if log := read(t, m.log); !strings.Contains(log, "big") || !strings.Contains(log, "no space left on device") {
		t.Errorf("the log does not say that bytes are lost:\n%s", log)
	}
	out, err := sshmount(t, "status", m.point)
	must(t, err)
	if !strings.Contains(out, "big") {
		t.Errorf("status does not tell of the loss:\n%s", out)
	}
	if !strings.Contains(out, " pieces are lost") {
		t.Errorf("status tells of each piece:\n%s", out)
	}
	// A piece that is small enough may be kept; nothing else may look as if it were.
	kept := rescued(t, state, "big")
	if len(kept) > 1 || len(kept) == 0 && strings.Contains(out, "is kept in") {
		t.Errorf("%d files are kept; status says:\n%s", len(kept), out)
	}
	for name, got := range kept {
		var n, at int
		_, line, _ := strings.Cut(read(t, name+".txt"), "  ")
		if _, err := fmt.Sscanf(line, "%d bytes at offset %d", &n, &at); err != nil || at+n != len(got) || !bytes.Equal(got[at:], content[at:at+n]) {
			t.Errorf("%s has %d bytes, and does not hold what its list says (%v):\n%s", name, len(got), err, line)
		}
	}
	must(t, os.Remove(m.path("big")))
	eventually(t, 10*time.Second, "the server has closed the file, too, and has room again", func() (bool, string) {
		var st syscall.Statfs_t
		err := syscall.Statfs(s.root, &st)
		return err == nil && st.Bavail > 0, fmt.Sprint(err)
	})
	write(t, m.path("small"), "fits")
	wantContent(t, s.local("small"), "fits")
	run(t, "", "umount", m.point)
	m.waitEnd(15) // not all is saved
}

// Small reads from a mount that has just begun find memory that the process has used before: the first use of each page costs more
// than all else that such a read takes, most of all in a virtual machine.
func TestFirstSmallReadsFindMemoryThatWasUsed(t *testing.T) {
	onlySshmount(t)
	if enabled := read(t, "/sys/kernel/mm/transparent_hugepage/enabled"); strings.Contains(enabled, "[never]") {
		t.Skip("this system has no huge pages: memory comes page by page")
	}
	const reads, page = 200, 4 << 10
	s := newServer(t)
	write(t, s.local("f"), string(pseudoRandom(1, 4*reads*page)))
	m := s.mount()
	f, err := os.Open(m.path("f"))
	must(t, err)
	defer f.Close()
	last := -1
	eventually(t, time.Minute, "the mount has all memory that it wants by itself", func() (bool, string) {
		before := last
		time.Sleep(300 * time.Millisecond)
		last = m.faults(t)
		return last == before, fmt.Sprint(before, " faults, then ", last)
	})
	b := make([]byte, page)
	for i := range reads {
		_, err := f.ReadAt(b, int64(i*7%reads)*4*page)
		must(t, err)
	}
	if n := m.faults(t) - last; n > reads { // some come of threads that the runtime starts
		t.Errorf("%d small reads used %d pages of memory for the first time", reads, n)
	}
}

// faults is how often the process of the mount has used a page of memory for the first time (minflt of proc_pid_stat(5)).
func (m *mounted) faults(t *testing.T) int {
	t.Helper()
	stat := read(t, fmt.Sprintf("/proc/%d/stat", m.cmd.Process.Pid))
	_, rest, _ := strings.Cut(stat, ") ")
	n, err := strconv.Atoi(strings.Fields(rest)[7])
	must(t, err)
	return n
}
