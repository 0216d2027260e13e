package fusefs_test

import (
	"bytes"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// waiter is a program that waits for the server in one system call.
type waiter struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  bytes.Buffer
	done chan error
}

// wait starts perl, which is on every Debian, has one thread and restarts nothing by itself, with handlers for the
// signals named. It opens path for reading and prints "opened" or the errno.
func wait(t *testing.T, m *mounted, path string, handled ...string) *waiter {
	t.Helper()
	script := `use Fcntl; for (@ARGV) { $SIG{$_} = sub { $n++ } }
		if (sysopen(my $f, $ENV{FILE}, O_RDONLY)) { print "opened" } else { print "errno ", $!+0 }`
	w := &waiter{t: t, cmd: exec.Command("perl", append([]string{"-e", script}, handled...)...), done: make(chan error, 1)}
	w.cmd.Env = append(os.Environ(), "FILE="+path)
	w.cmd.Stdout, w.cmd.Stderr = &w.out, &w.out
	check(t, w.cmd.Start())
	go func() { w.done <- w.cmd.Wait() }()
	m.awaitWaiting(1)
	return w
}

func (w *waiter) signal(s syscall.Signal) {
	w.t.Helper()
	check(w.t, w.cmd.Process.Signal(s))
}

// ends waits for the program's end, and gives what it printed.
func (w *waiter) ends() string {
	w.t.Helper()
	select {
	case <-w.done:
		return w.out.String()
	case <-time.After(deadline):
		w.cmd.Process.Kill()
		w.t.Fatal("the program still waits")
	}
	return ""
}

func (w *waiter) waitsOn(d time.Duration) {
	w.t.Helper()
	select {
	case err := <-w.done:
		w.t.Fatalf("the program does not wait any more: %v, %s", err, w.out.String())
	case <-time.After(d):
	}
}

func TestSignalsOfWaitingPrograms(t *testing.T) {
	if _, err := exec.LookPath("perl"); err != nil {
		t.Skip("perl, the program that is interrupted, is not installed")
	}
	m := mount(t)
	put(t, m.server("file"), "content")
	frozen := func() {
		t.Helper()
		m.tell("freeze")
	}
	thawed := func() { m.tell("thaw") }

	t.Run("a fatal one ends the waiting at once", func(t *testing.T) {
		frozen()
		defer thawed()
		for _, s := range []syscall.Signal{syscall.SIGKILL, syscall.SIGINT, syscall.SIGTERM} {
			w := wait(t, m, m.path("file"))
			w.signal(s)
			w.ends()
		}
	})
	t.Run("one that is handled and does not ask to stop changes nothing", func(t *testing.T) {
		frozen()
		w := wait(t, m, m.path("file"), "WINCH", "ALRM", "CHLD")
		for _, s := range []syscall.Signal{syscall.SIGWINCH, syscall.SIGALRM, syscall.SIGCHLD} {
			w.signal(s)
		}
		w.waitsOn(3 * time.Second)
		thawed()
		if out := w.ends(); out != "opened" {
			t.Errorf("the program says %s", out)
		}
	})
	t.Run("one that asks to stop is obeyed, also after others", func(t *testing.T) {
		frozen()
		defer thawed()
		w := wait(t, m, m.path("file"), "WINCH", "INT")
		w.signal(syscall.SIGWINCH)
		w.waitsOn(500 * time.Millisecond)
		w.signal(syscall.SIGINT)
		if out := w.ends(); out != "errno 4" {
			t.Errorf("the program says %s, want EINTR", out)
		}
	})
	has(t, m.path("file"), "content")
}

func TestKilledWriterDoesNotWaitForItsBytes(t *testing.T) {
	m := mount(t)
	put(t, m.server("file"), "")
	cmd := exec.Command("sh", "-c", `exec 3>"$0"; echo unsaved >&3; echo ready; exec sleep 1000`, m.path("file"))
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	_, err = out.Read(make([]byte, 10))
	check(t, err)
	m.tell("freeze")
	check(t, cmd.Process.Kill())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-ended:
	case <-time.After(deadline):
		t.Error("a killed program waits for a frozen line")
	}
	m.tell("thaw")
	eventually(t, "its bytes on the server", func() bool {
		got, _ := os.ReadFile(m.server("file"))
		return string(got) == "unsaved\n"
	})
}
