package tests

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

var (
	// scratch holds everything that a run makes: keys, servers' configurations, mount points, logs.
	// Its name in a command line or a mount table says that a process or a mount is this run's.
	scratch string
	// binary is the program under test, by a path that other users can execute too.
	binary string
	// standIn says that binary is not sshmount but sshfs, which lacks what sshmount adds.
	standIn   bool
	raceBuilt bool
)

func TestMain(m *testing.M) {
	if name := os.Getenv(helperVariable); name != "" {
		runHelper(name)
	}
	flag.Parse()
	code, err := runTests(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "tests:", err)
		code = 1
	}
	os.Exit(code)
}

func runTests(m *testing.M) (code int, err error) {
	if _, err := os.Stat("/dev/fuse"); err != nil {
		return 1, fmt.Errorf("the whole-program tests need /dev/fuse: %w", err)
	}
	scratch, err = os.MkdirTemp("", "sshmount-tests-")
	if err != nil {
		return 1, err
	}
	// Other users' processes have to reach the mount points.
	if err := os.Chmod(scratch, 0o755); err != nil {
		return 1, err
	}
	if err := buildBinary(); err != nil {
		return 1, err
	}
	// Whoever ends a run by hand should have nothing to clear away afterwards.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		if _, ok := <-signals; ok {
			removeLeftOver()
			os.Exit(1)
		}
	}()
	code = m.Run()
	signal.Stop(signals)
	close(signals)
	if left := leftOver(15 * time.Second); left != "" {
		code = 1
		fmt.Fprintf(os.Stderr, "tests: left over after the last test:\n%s", left)
		removeLeftOver()
	}
	if err := goleak.Find(); err != nil {
		code = 1
		fmt.Fprintln(os.Stderr, "tests:", err)
	}
	if os.Getenv("SSHMOUNT_TEST_KEEP") == "" && len(mountsUnder(scratch)) == 0 {
		err = os.RemoveAll(scratch)
	} else {
		fmt.Fprintln(os.Stderr, "tests: kept", scratch)
	}
	return code, err
}

// buildBinary makes the program under test.
func buildBinary() error {
	raceBuilt = os.Getenv("SSHMOUNT_TEST_RACE") != ""
	bin := filepath.Join(scratch, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	if given := os.Getenv("SSHMOUNT_BIN"); given != "" {
		path, err := exec.LookPath(given)
		if err != nil {
			return err
		}
		binary = path
		version, err := exec.Command(path, "-V").CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s -V: %w", path, err)
		}
		standIn = bytes.Contains(version, []byte("SSHFS version"))
		return nil
	}
	binary = filepath.Join(bin, "sshmount")
	args := []string{"build", "-o", binary}
	if raceBuilt {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "sshmount/cmd/sshmount")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// onlySshmount leaves a test out where the program under test is a stand-in.
func onlySshmount(t *testing.T) {
	t.Helper()
	if standIn {
		t.Skip("the binary under test is sshfs, which can't do this")
	}
}

// needRoot leaves a test out that has to act as several users.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root, to act as another user or to mount by mount(8)")
	}
}

// mountsUnder lists the mount points at or below dir, the deepest last.
func mountsUnder(dir string) []string {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	var found []string
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		point := unescapeMountinfo(fields[4])
		if point == dir || strings.HasPrefix(point, dir+"/") {
			found = append(found, point)
		}
	}
	return found
}

// unescapeMountinfo undoes the octal escapes of space, tab, newline and backslash in /proc/self/mountinfo.
func unescapeMountinfo(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// process is a running program as /proc shows it.
type process struct {
	pid, parent int
	name        string // the first 15 bytes of the program's file name, or what it calls itself
}

func (p process) String() string { return fmt.Sprintf("%d %s", p.pid, p.commandLine()) }

// commandLine is what the program was started with. The kernel reads it from the program's memory and waits for it
// where the program hangs in a mapping of a mount that does not answer, so it is asked of no program that might.
func (p process) commandLine() string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.pid))
	return string(bytes.ReplaceAll(bytes.TrimRight(b, "\x00"), []byte{0}, []byte{' '}))
}

// processes lists the programs under test, and the servers, whose command line contains text.
func processes(text string) []process {
	var found []process
	for _, p := range allProcesses() {
		switch name := p.name; {
		case strings.HasPrefix(name, "sshmount"), strings.HasPrefix(name, "sshd"), strings.HasPrefix(name, "mount."),
			name == "sshfs", name == "ssh", name == "sftp-server":
			if strings.Contains(p.commandLine(), text) {
				found = append(found, p)
			}
		}
	}
	return found
}

func allProcesses() []process {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var all []process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue // it has ended
		}
		// The name in brackets may itself hold brackets and spaces: it ends with the last one.
		name, rest := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
		if name < 0 || rest < name {
			continue
		}
		fields := strings.Fields(string(stat[rest+1:]))
		if len(fields) < 2 || fields[0] == "Z" {
			continue
		}
		parent, _ := strconv.Atoi(fields[1])
		all = append(all, process{pid, parent, string(stat[name+1 : rest])})
	}
	return all
}

// descendants lists the processes below pid, children before grandchildren.
func descendants(pid int) []process {
	all := allProcesses()
	var found []process
	generation := map[int]bool{pid: true}
	for len(generation) > 0 {
		next := map[int]bool{}
		for _, p := range all {
			if generation[p.parent] {
				found = append(found, p)
				next[p.pid] = true
			}
		}
		generation = next
	}
	return found
}

// leftOver says what of this run is still there after a time in which it may go.
func leftOver(patience time.Duration) string {
	deadline := time.Now().Add(patience)
	for {
		var b strings.Builder
		for _, m := range mountsUnder(scratch) {
			fmt.Fprintf(&b, "  mount %s\n", m)
		}
		for _, p := range processes(scratch) {
			fmt.Fprintf(&b, "  process %v\n", p)
		}
		if b.Len() == 0 || time.Now().After(deadline) {
			return b.String()
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func removeLeftOver() {
	for _, p := range processes(scratch) {
		if proc, err := os.FindProcess(p.pid); err == nil {
			_ = proc.Kill()
		}
	}
	mounts := mountsUnder(scratch)
	for i := len(mounts) - 1; i >= 0; i-- {
		detach(mounts[i])
	}
}

// detach takes a mount point away, whatever state the mount is in.
func detach(point string) {
	if os.Getuid() == 0 {
		_ = exec.Command("umount", "-f", "-l", point).Run()
		return
	}
	_ = exec.Command("fusermount3", "-u", "-z", point).Run()
}

// eventually asks until it holds, and fails the test with what (and the last answer) when it doesn't within patience.
func eventually(t *testing.T, patience time.Duration, what string, holds func() (bool, string)) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		ok, seen := holds()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s; last seen: %s", patience, what, seen)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// within runs f and fails the test when it does not come back in time; its goroutine is then left to the mount's watchdog.
func within(t *testing.T, limit time.Duration, what string, f func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-time.After(limit):
		t.Fatalf("%s: not done after %v", what, limit)
		return errors.New("unreachable")
	}
}

// onceValue that also keeps the error, for what all tests share.
func shared[T any](f func() (T, error)) func(t *testing.T) T {
	once := sync.OnceValues(f)
	return func(t *testing.T) T {
		t.Helper()
		v, err := once()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
