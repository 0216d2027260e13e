package fusefs_test

import (
	"errors"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// lockVar asks a child to try for a lock of a kind on a file, and to exit with taken where another has it.
const (
	lockVar = "FUSEFS_TEST_LOCK"
	taken   = 11
)

// TestTryLock is the child.
func TestTryLock(t *testing.T) {
	kind, path := os.Getenv(lockVar), os.Getenv(lockVar+"_FILE")
	if kind == "" {
		return // nobody has asked for a lock
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	check(t, err)
	if kind == "flock" {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	} else {
		err = unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Start: 10, Len: 10})
	}
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES):
		os.Exit(taken)
	case err != nil:
		t.Fatal(err)
	}
}

func TestLocksHoldBetweenProcesses(t *testing.T) {
	m := mount(t)
	put(t, m.path("file"), "content")
	f, err := os.OpenFile(m.path("file"), os.O_RDWR, 0)
	check(t, err)
	defer f.Close()
	expect := func(kind string, free bool) {
		t.Helper()
		cmd := exec.Command(os.Args[0], "-test.run=^TestTryLock$")
		cmd.Env = append(os.Environ(), lockVar+"="+kind, lockVar+"_FILE="+m.path("file"))
		out, err := cmd.CombinedOutput()
		if got := err == nil; got != free || err != nil && cmd.ProcessState.ExitCode() != taken {
			t.Errorf("another process tries %s, which should be free: %v; it got %v\n%s", kind, free, err, out)
		}
	}
	expect("flock", true)
	check(t, unix.Flock(int(f.Fd()), unix.LOCK_EX))
	expect("flock", false)
	check(t, unix.Flock(int(f.Fd()), unix.LOCK_UN))
	expect("flock", true)

	lock := func(kind int16, start int64) {
		t.Helper()
		check(t, unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: kind, Start: start, Len: 5}))
	}
	expect("fcntl", true)
	lock(unix.F_WRLCK, 0)
	expect("fcntl", true)
	lock(unix.F_WRLCK, 12)
	expect("fcntl", false)
	lock(unix.F_UNLCK, 12)
	expect("fcntl", true)
}
