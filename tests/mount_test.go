package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// mountLimit is how long one mount of a test may live: whatever hangs on it then is freed by force.
const mountLimit = 150 * time.Second

// mounted is a mount made by the program under test, in the foreground so that its end and its log can be watched.
type mounted struct {
	t     *testing.T
	point string
	log   string
	cmd   *exec.Cmd
	ended chan struct{} // closed when the process has ended; exit is set before
	exit  error
	// aborted is set when the watchdog took the mount away.
	aborted  atomic.Bool
	watchdog *time.Timer
}

// programEnv is the environment of the program under test: nothing of the user's own set-up has a part in a test.
func programEnv(more ...string) []string {
	home := filepath.Join(scratch, "home")
	runtime := filepath.Join(scratch, "run")
	_ = os.MkdirAll(home, 0o755)
	_ = os.MkdirAll(runtime, 0o700)
	return append([]string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + home,
		"TMPDIR=" + scratch,
		"XDG_RUNTIME_DIR=" + runtime,
		"XDG_STATE_HOME=" + filepath.Join(home, ".local/state"),
		"LANG=C.UTF-8",
	}, more...)
}

// mount mounts the server's root with options like "-o", "ro". They end with the test, which fails when
// unmounting is refused or the process does not end with status 0.
func (s *server) mount(options ...string) *mounted {
	s.t.Helper()
	return s.mountPart(s.t, "", options...)
}

// mountPart is mount for a directory below the root, for the time of t.
func (s *server) mountPart(t *testing.T, below string, options ...string) *mounted {
	t.Helper()
	args := append([]string{"-F", s.config, s.remote(below), mountPoint(t)}, options...)
	return mountArgs(t, args, nil)
}

func mountPoint(t *testing.T) string {
	t.Helper()
	return testDir(t, "mnt")
}

// mountArgs runs the program in the foreground with -f and args, of which the second that is no option is the mount point,
// and waits until it is mounted.
func mountArgs(t *testing.T, args []string, prepare func(*exec.Cmd)) *mounted {
	t.Helper()
	m := startMount(t, args, prepare)
	eventually(t, 60*time.Second, "mounted", func() (bool, string) {
		select {
		case <-m.ended:
			text, _ := os.ReadFile(m.log)
			t.Fatalf("%s %s ended before it was mounted (%v):\n%s", binary, strings.Join(args, " "), m.exit, text)
		default:
		}
		if !slices.Contains(mountsUnder(m.point), m.point) {
			return false, "no mount"
		}
		// It stands in the table before the kernel and the program have greeted each other; and what stands
		// there may be a dead mount that is about to be replaced.
		var st syscall.Statfs_t
		err := syscall.Statfs(m.point, &st)
		return err == nil, fmt.Sprint(err)
	})
	return m
}

// startMount is mountArgs without the wait.
func startMount(t *testing.T, args []string, prepare func(*exec.Cmd)) *mounted {
	t.Helper()
	m := &mounted{t: t, log: filepath.Join(testDir(t, "log"), "log"), ended: make(chan struct{})}
	for _, a := range args {
		if strings.HasPrefix(a, scratch+"/") && strings.Contains(a, "-mnt-") {
			m.point = a
		}
	}
	if m.point == "" {
		t.Fatalf("no mount point in %q", args)
	}
	log, err := os.Create(m.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	m.cmd = exec.Command(binary, append([]string{"-f"}, args...)...)
	m.cmd.Env = programEnv("GORACE=log_path=" + m.log + ".race")
	m.cmd.Stdout, m.cmd.Stderr = log, log
	// A terminal's Ctrl-C, or a signal that a test sends to its own group, is not meant for the mount.
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if prepare != nil {
		prepare(m.cmd)
	}
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		m.exit = m.cmd.Wait()
		close(m.ended)
	}()
	m.watchdog = time.AfterFunc(mountLimit, m.abort)
	t.Cleanup(m.cleanup)
	return m
}

// abort frees everything that hangs on the mount. The stacks of the process go to its log first.
func (m *mounted) abort() {
	m.aborted.Store(true)
	m.quit()
	detach(m.point)
}

// quit ends the process and has it write the stacks of its goroutines to its log.
func (m *mounted) quit() {
	_ = m.cmd.Process.Signal(syscall.SIGQUIT)
	select {
	case <-m.ended:
	case <-time.After(2 * time.Second):
		_ = m.cmd.Process.Kill()
	}
}

// stacks gives what the stacks in a log tell: of each goroutine that is in the program's own code, its state and functions.
func stacks(log string) string {
	_, rest, found := strings.Cut(log, "\ngoroutine ")
	if !found {
		return ""
	}
	var b strings.Builder
	for g := range strings.SplitSeq(rest, "\ngoroutine ") {
		if !strings.Contains(g, "sshmount/") {
			continue
		}
		n := 0
		for l := range strings.Lines(g) {
			if n++; n == 1 {
				fmt.Fprintf(&b, "goroutine %s", l)
			} else if !strings.HasPrefix(l, "\t") && n < 30 && !strings.HasPrefix(l, "runtime.") {
				name, _, _ := strings.Cut(strings.TrimSpace(l), "({")
				fmt.Fprintf(&b, "    %.110s\n", name)
			}
		}
	}
	return b.String()
}

// path is a path in the mount.
func (m *mounted) path(below ...string) string {
	return filepath.Join(append([]string{m.point}, below...)...)
}

// logText is what the program has said so far.
func (m *mounted) logText() string {
	text, _ := os.ReadFile(m.log)
	return string(text)
}

// waitEnd waits for the process's end, which must have this status.
func (m *mounted) waitEnd(status int) {
	m.t.Helper()
	select {
	case <-m.ended:
	case <-time.After(45 * time.Second):
		m.t.Fatalf("the process is still there 45 s after the end of its mount")
	}
	if got := m.cmd.ProcessState.ExitCode(); got != status {
		m.t.Errorf("the process ended with %v, want status %d", m.exit, status)
	}
}

func (m *mounted) hasEnded() bool {
	select {
	case <-m.ended:
		return true
	default:
		return false
	}
}

// unmount ends the mount. A program that another test starts at this moment holds whatever this process has open, also what is
// closed here meanwhile, until it has become that program: nobody else can be seen then who keeps the mount busy.
func (m *mounted) unmount() (out string, err error) {
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		out, err = command(30*time.Second, "", "fusermount3", "-u", m.point)
		if err == nil || !strings.Contains(out, "busy") || holders(m.point) != "" || time.Now().After(end) {
			return out, err
		}
	}
}

func (m *mounted) cleanup() {
	if !m.hasEnded() && !m.t.Failed() && slices.Contains(mountsUnder(m.point), m.point) {
		out, err := m.unmount()
		if err != nil {
			m.t.Errorf("fusermount3 -u: %v\n%s%s", err, out, holders(m.point))
		} else {
			select {
			case <-m.ended:
				if m.exit != nil {
					m.t.Errorf("after unmounting the process ended with %v", m.exit)
				}
			case <-time.After(45 * time.Second):
				m.t.Errorf("the process is still there 45 s after the end of its mount")
				m.quit()
			}
		}
	}
	m.watchdog.Stop()
	if m.aborted.Load() {
		m.t.Errorf("the mount was taken away by force after %v", mountLimit)
	}
	if !m.hasEnded() {
		_ = m.cmd.Process.Kill()
		select {
		case <-m.ended:
		case <-time.After(10 * time.Second):
			m.t.Errorf("process %d can't be killed", m.cmd.Process.Pid)
		}
	}
	for slices.Contains(mountsUnder(m.point), m.point) {
		detach(m.point)
	}
	races, _ := filepath.Glob(m.log + ".race*")
	for _, file := range races {
		text, _ := os.ReadFile(file)
		m.t.Errorf("data race:\n%s", text)
	}
	text, trace, _ := strings.Cut(m.logText(), "SIGQUIT: quit")
	if strings.Contains(text, "\ngoroutine ") && !m.t.Failed() {
		m.t.Errorf("the log shows a panic")
	}
	if m.t.Failed() {
		m.t.Logf("the log of %s, its end:\n%s%s", filepath.Base(m.point), tail([]byte(text), 25), stacks(trace))
	}
}

// holders says which processes have something below a mount point open.
func holders(point string) string {
	var b strings.Builder
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	more, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, l := range append(links, more...) {
		if target, err := os.Readlink(l); err == nil && (target == point || strings.HasPrefix(target, point+"/")) {
			fmt.Fprintf(&b, "%s is %s\n", l, target)
		}
	}
	return b.String()
}
