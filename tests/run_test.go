package tests

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// programLimit is how long one program of a test may take; generous, for a machine that is busy with other things.
const programLimit = 120 * time.Second

// command runs a program with a limit of time and returns all it said. Its whole process group is killed at the limit.
func command(limit time.Duration, dir, name string, args ...string) (string, error) {
	out, err := commandEnv(limit, dir, nil, nil, name, args...)
	return out, err
}

func commandEnv(limit time.Duration, dir string, env []string, stdin io.Reader, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = env
	cmd.Stdin = stdin
	// A file and not a pipe: a program that goes into the background keeps its standard error open.
	out, err := os.CreateTemp(scratch, "out-")
	if err != nil {
		return "", err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	err = cmd.Run()
	text, _ := os.ReadFile(out.Name())
	if ctx.Err() != nil {
		err = fmt.Errorf("not done after %v: %w", limit, err)
	}
	return string(text), err
}

// run runs a program that must succeed, in dir, and returns what it said.
func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	out, err := command(programLimit, dir, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// shell runs a script of sh that must succeed.
func shell(t *testing.T, dir, script string, args ...string) string {
	t.Helper()
	return run(t, dir, "sh", append([]string{"-euc", script, "sh"}, args...)...)
}

// background is a program that runs beside the test.
type background struct {
	cmd  *exec.Cmd
	out  bytes.Buffer // read after done
	done chan struct{}
	err  error
}

func start(t *testing.T, dir string, env []string, name string, args ...string) *background {
	t.Helper()
	b := &background{done: make(chan struct{})}
	b.cmd = exec.Command(name, args...)
	b.cmd.Dir, b.cmd.Env = dir, env
	b.cmd.Stdout, b.cmd.Stderr = &b.out, &b.out
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { b.err = b.cmd.Wait(); close(b.done) }()
	t.Cleanup(func() {
		_ = syscall.Kill(-b.cmd.Process.Pid, syscall.SIGKILL)
		select {
		case <-b.done:
		case <-time.After(10 * time.Second): // it hangs in the mount, whose own end frees it
		}
	})
	return b
}

// wait waits for the program, which must succeed.
func (b *background) wait(t *testing.T) string {
	t.Helper()
	if err := b.end(t, programLimit); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(b.cmd.Args, " "), err, b.out.String())
	}
	return b.out.String()
}

// end waits for the program and returns how it ended.
func (b *background) end(t *testing.T, limit time.Duration) error {
	t.Helper()
	select {
	case <-b.done:
		return b.err
	case <-time.After(limit):
		t.Fatalf("%s: not done after %v", strings.Join(b.cmd.Args, " "), limit)
		return nil
	}
}

func (b *background) running() bool {
	select {
	case <-b.done:
		return false
	default:
		return true
	}
}

// sshmount runs one of the other commands with the environment of the mounts.
func sshmount(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return commandEnv(programLimit, "", programEnv(), nil, binary, args...)
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

// ---- files, with errors that end the test

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// wantContent fails unless the file holds this; long contents are compared, not shown.
func wantContent(t *testing.T, path, want string) {
	t.Helper()
	got := read(t, path)
	if got == want {
		return
	}
	if len(got)+len(want) < 400 {
		t.Fatalf("%s holds %q, want %q", path, got, want)
	}
	at := 0
	for at < len(got) && at < len(want) && got[at] == want[at] {
		at++
	}
	t.Fatalf("%s holds %d bytes, want %d; they differ from byte %d", path, len(got), len(want), at)
}

// wantErrno fails unless err is this error of the system.
func wantErrno(t *testing.T, what string, err error, want syscall.Errno) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got %v, want %v (%s)", what, err, want, want.Error())
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func lstat(t *testing.T, path string) *syscall.Stat_t {
	t.Helper()
	var st syscall.Stat_t
	if err := syscall.Lstat(path, &st); err != nil {
		t.Fatalf("lstat %s: %v", path, err)
	}
	return &st
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
