package fusefs_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"strings"
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

func needPerl(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("perl"); err != nil {
		t.Skip("perl, the program that is interrupted, is not installed")
	}
}

func TestSignalsOfWaitingPrograms(t *testing.T) {
	needPerl(t)
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

func TestSignalsWithOneRequestAtATime(t *testing.T) {
	needPerl(t)
	m := mount(t, func(s *setup) { s.Mount.SingleThreaded = true })
	put(t, m.server("file"), "content")
	m.tell("freeze")
	for _, s := range []syscall.Signal{syscall.SIGKILL, syscall.SIGINT} {
		w := wait(t, m, m.path("file"), "WINCH")
		w.signal(syscall.SIGWINCH)
		w.signal(s)
		w.ends()
	}
	m.tell("thaw")
	has(t, m.path("file"), "content")
}

// writer starts a program that has written a line to path, which waits here for a frozen line. A shell would not do:
// it closes a copy of the descriptor after each redirection.
func writer(t *testing.T, m *mounted, path string) (cmd *exec.Cmd, in io.WriteCloser, done chan error) {
	t.Helper()
	cmd = exec.Command("perl", "-e", `$| = 1; open(my $f, ">", $ARGV[0]) or die; print "open\n"; sysread(STDIN, my $x, 10);
		syswrite($f, "unsaved\n"); print "written\n"; sysread(STDIN, $x, 10)`, path)
	in, err := cmd.StdinPipe()
	check(t, err)
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	says := func(want string) {
		t.Helper()
		got := make([]byte, len(want))
		if _, err := io.ReadFull(out, got); err != nil || string(got) != want {
			t.Fatalf("the writer says %q, %v, want %q", got, err, want)
		}
	}
	says("open\n")
	m.tell("freeze")
	_, err = io.WriteString(in, "write\n")
	check(t, err)
	says("written\n")
	done = make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	return cmd, in, done
}

func TestKilledWriterDoesNotWaitForItsBytes(t *testing.T) {
	needPerl(t)
	m := mount(t)
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGQUIT} {
		name := "killed by " + strings.ReplaceAll(sig.String(), " ", "_")
		cmd, in, done := writer(t, m, m.path(name))
		check(t, cmd.Process.Signal(sig))
		select {
		case <-done:
		case <-time.After(deadline):
			t.Errorf("%s, the program waits for a frozen line", name)
		}
		in.Close()
		has(t, m.server(name), "")
		m.tell("thaw")
		eventually(t, "its bytes on the server", func() bool {
			got, _ := os.ReadFile(m.server(name))
			return string(got) == "unsaved\n"
		})
	}
}

func TestExitWaitsForTheBytes(t *testing.T) {
	needPerl(t)
	m := mount(t)
	_, in, done := writer(t, m, m.path("file"))
	check(t, in.Close())
	select {
	case <-done:
		t.Error("the program ended before its bytes were stored")
	case <-time.After(4 * time.Second):
	}
	m.tell("thaw")
	select {
	case <-done:
	case <-time.After(deadline):
		t.Error("the program still waits")
	}
	has(t, m.server("file"), "unsaved\n")
}
