package fusefs_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// deadline is what anything that should take milliseconds may take on a busy machine.
const deadline = 30 * time.Second

// mounted is a mount that a child serves.
type mounted struct {
	t       testing.TB
	dir     string // the mount point
	remote  string // the same directory as the server has it
	child   *exec.Cmd
	in      io.WriteCloser
	answers chan answer
	exited  chan error

	mu  sync.Mutex // guards log
	log bytes.Buffer
}

// mount serves a fresh directory, with what change makes of the default options.
func mount(t testing.TB, change ...func(*setup)) *mounted {
	t.Helper()
	m, err := tryMount(t, change...)
	if err != nil {
		t.Fatalf("mount: %v\n%s", err, m.logged())
	}
	return m
}

func tryMount(t testing.TB, change ...func(*setup)) (*mounted, error) {
	t.Helper()
	if os.Geteuid() != 0 {
		if _, err := exec.LookPath("fusermount3"); err != nil {
			t.Fatal("fusermount3 is not installed, and only root mounts without it")
		}
	}
	base := t.TempDir()
	s := setup{Remote: filepath.Join(base, "remote")}
	s.Mount.Mountpoint = filepath.Join(base, "mnt")
	for _, dir := range []string{s.Remote, s.Mount.Mountpoint} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.Cache.Root = s.Remote
	s.Cache.RescueDir = filepath.Join(base, "rescue")
	for _, f := range change {
		f(&s)
	}
	encoded, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	m := &mounted{t: t, dir: s.Mount.Mountpoint, remote: s.Remote, answers: make(chan answer, 1), exited: make(chan error, 1)}
	m.child = exec.Command(os.Args[0], "-test.run=^TestServe$", "-test.timeout=0")
	m.child.Env = append(os.Environ(), serveVar+"="+string(encoded))
	m.child.Stderr = m
	if m.in, err = m.child.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := m.child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.child.Start(); err != nil {
		t.Fatal(err)
	}
	go m.read(out)
	t.Cleanup(m.end)
	first := m.await("the mount")
	if first.Err != "" {
		return m, errors.New(first.Err)
	}
	return m, nil
}

// read takes the child's answers from its output; the rest is its log. It ends with the child.
func (m *mounted) read(out io.Reader) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		encoded, ok := strings.CutPrefix(lines.Text(), mark)
		if !ok {
			m.Write([]byte(lines.Text() + "\n"))
			continue
		}
		var a answer
		if err := json.Unmarshal([]byte(encoded), &a); err != nil {
			a.Err = err.Error()
		}
		m.answers <- a
	}
	m.exited <- m.child.Wait()
	close(m.answers)
}

// Write collects the child's log.
func (m *mounted) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.log.Write(p)
}

func (m *mounted) logged() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.log.String()
}

func (m *mounted) await(what string) answer {
	m.t.Helper()
	select {
	case a, ok := <-m.answers:
		if !ok {
			m.t.Fatalf("the child ended before it answered %s\n%s", what, m.logged())
		}
		return a
	case <-time.After(deadline):
		m.t.Fatalf("no answer to %s\n%s", what, m.logged())
	}
	panic("unreachable")
}

// tell has the child do a command, which must succeed.
func (m *mounted) tell(command string) answer {
	m.t.Helper()
	a := m.ask(command)
	if a.Err != "" {
		m.t.Errorf("%s: %s", command, a.Err)
	}
	return a
}

// ask has the child do a command.
func (m *mounted) ask(command string) answer {
	m.t.Helper()
	if _, err := io.WriteString(m.in, command+"\n"); err != nil {
		m.t.Fatalf("tell the child %q: %v\n%s", command, err, m.logged())
	}
	return m.await(command)
}

// awaitWaiting returns when n requests of the kernel wait for the server.
func (m *mounted) awaitWaiting(n int) {
	m.t.Helper()
	eventually(m.t, "requests that wait for the server", func() bool { return m.tell("waiting").Waiting == n })
}

// end unmounts, and sees that the child ends well.
func (m *mounted) end() {
	m.in.Close()
	select {
	case err := <-m.exited:
		if err != nil {
			m.t.Errorf("the child that served the mount: %v", err)
		}
	case <-time.After(deadline):
		m.t.Errorf("the child did not end after the unmount")
		m.child.Process.Signal(syscall.SIGQUIT)
		select {
		case <-m.exited:
		case <-time.After(5 * time.Second):
			m.child.Process.Kill()
			<-m.exited
		}
	}
	for range m.answers {
	}
	if isMounted(m.t, m.dir) {
		m.t.Errorf("%s is still mounted", m.dir)
		unix.Unmount(m.dir, unix.MNT_DETACH)
	}
	if m.t.Failed() {
		m.t.Logf("log of the child:\n%s", m.logged())
	}
}

func isMounted(t testing.TB, dir string) bool {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(mounts), " "+dir+" ")
}

// mountLine is the line of /proc/self/mounts.
func mountLine(t testing.TB, dir string) string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, " "+dir+" ") {
			return line
		}
	}
	t.Fatalf("%s is not mounted", dir)
	return ""
}

func (m *mounted) path(name string) string   { return filepath.Join(m.dir, name) }
func (m *mounted) server(name string) string { return filepath.Join(m.remote, name) }

// eventually polls until reached says yes.
func eventually(t testing.TB, what string, reached func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if reached() {
			return
		}
	}
	t.Fatalf("waited in vain for %s", what)
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func put(t testing.TB, path, content string) {
	t.Helper()
	check(t, os.WriteFile(path, []byte(content), 0o644))
}

func has(t testing.TB, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	check(t, err)
	if string(got) != want {
		t.Errorf("%s holds %.80q (%d bytes), want %.80q (%d bytes)", path, got, len(got), want, len(want))
	}
}

func wantErrno(t testing.TB, what string, err error, want syscall.Errno) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s gives %v, want %v", what, err, want)
	}
}

func lstat(t testing.TB, path string) unix.Stat_t {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatalf("lstat %s: %v", path, err)
	}
	return st
}

// backdate makes the next change visible in the mtime, whose unit is a second.
func backdate(t *testing.T, path string) {
	t.Helper()
	old := time.Now().Add(-time.Hour)
	check(t, os.Chtimes(path, old, old))
}
