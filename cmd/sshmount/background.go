package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"sshmount/cmd/sshmount/cmdline"
	"sshmount/fusefs"
)

// A Go program can't fork, so going into the background takes a second process of the
// same program. It is started at the beginning, on the same terminal and in the same
// session, so that the login can ask its questions and Ctrl-C ends both. It leaves the
// terminal when the mount is made. The first process waits for one message on a pipe,
// checks that the mount answers, and ends with the exit status of the whole.

// readyVar names the pipe's descriptor to the second process.
const readyVar = "SSHMOUNT_READY_FD"

// answerPatience is how long a new mount may take for its first answer.
const answerPatience = 30 * time.Second

// ready is the message on the pipe.
type ready struct {
	Error string // "" where the mount is there
	Code  int
}

func inBackground() bool { return os.Getenv(readyVar) != "" }

// startBackground has the second process mount and waits for its message.
func startBackground(set *cmdline.Settings, args []string, byMount bool) error {
	// The number of the pipe is passed on and not fixed: a descriptor that the caller
	// passes on for the mount (/dev/fd/N) may have any number.
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return fmt.Errorf("cannot make a pipe: %w", err)
	}
	r := os.NewFile(uintptr(pipe[0]), "ready")
	defer r.Close()
	if _, err := unix.FcntlInt(uintptr(pipe[1]), unix.F_SETFD, 0); err != nil {
		return fmt.Errorf("cannot make a pipe: %w", err)
	}
	cmd := exec.Command(program(), args...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), readyVar+"="+strconv.Itoa(pipe[1]))
	if byMount {
		cmd.Env = append(cmd.Env, byMountVar+"=1")
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr

	// Ctrl-C reaches the second process from the terminal, too; this one stays, to report. It passes on signals that were sent to it alone,
	// as by kill.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, heeded(syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGTSTP)...)
	defer signal.Stop(signals)
	err := cmd.Start()
	unix.Close(pipe[1])
	if err != nil {
		return fmt.Errorf("cannot start the background process: %w", err)
	}
	message := make(chan error, 1)
	go func() { message <- readReady(r) }()
	var alone <-chan time.Time // nil before SIGINT
	for {
		select {
		case s := <-signals:
			switch s {
			case syscall.SIGINT:
				alone = time.After(fromTerminal)
			case syscall.SIGTERM, syscall.SIGHUP:
				cmd.Process.Signal(syscall.SIGTERM)
			case syscall.SIGTSTP:
				go stopAfter(cmd.Process.Pid)
			}
		case <-alone:
			cmd.Process.Signal(syscall.SIGTERM)
		case err := <-message:
			return finishStart(set, cmd, err)
		}
	}
}

// fromTerminal is how long the second process may take to end after SIGINT, if it has got that from the terminal, too.
const fromTerminal = 500 * time.Millisecond

// stopAfter stops this process for Ctrl-Z when the second one (pid) has stopped. When this one stops the shell takes the terminal back, and
// before that the second one may have to switch the echo on again. Where the second one ends instead, it returns without stopping.
func stopAfter(pid int) {
	var how unix.Siginfo
	err := unix.Waitid(unix.P_PID, pid, &how, unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT, nil)
	if err == nil && how.Code == cldStopped {
		unix.Kill(unix.Getpid(), unix.SIGSTOP)
	}
}

// cldStopped is CLD_STOPPED, the si_code of waitid(2) for a child that was stopped by a signal.
const cldStopped = 5

// program is the file of this program, by its own name, which ps and killall show. Where
// that file was replaced meanwhile it is /proc/self/exe, which is the old one.
func program() string {
	const self = "/proc/self/exe"
	name, err := os.Readlink(self)
	if err != nil {
		return self
	}
	named, err1 := os.Stat(name)
	running, err2 := os.Stat(self)
	if err1 != nil || err2 != nil || !os.SameFile(named, running) {
		return self
	}
	return name
}

// finishStart returns the error of the start. err is that of readReady.
func finishStart(set *cmdline.Settings, cmd *exec.Cmd, err error) error {
	if errors.Is(err, io.EOF) {
		err := cmd.Wait()
		log := set.LogFile
		if log == "" {
			log = "its log below " + strings.Join(stateDirs(set.Mountpoint), " or ")
		}
		return fmt.Errorf("the background process ended without a word (%v); is there a message above, or in %s?", err, log)
	}
	if err != nil {
		cmd.Wait()
		return err
	}
	if err := answers(set); err != nil {
		cmd.Process.Signal(syscall.SIGTERM)
		return failed(exitFuse, err)
	}
	return nil
}

// readReady waits for the message, and returns the error in it. It returns io.EOF where the process ends without a whole message.
func readReady(r io.Reader) error {
	var m ready
	if err := json.NewDecoder(r).Decode(&m); err != nil {
		return io.EOF
	}
	switch {
	case m.Code == exitInterrupted:
		return errInterrupted
	case m.Error != "":
		return failed(m.Code, errors.New(m.Error))
	}
	return nil
}

// answers checks that the new mount answers, as it would any program.
func answers(set *cmdline.Settings) error {
	if _, passed := fusefs.PassedDescriptor(set.Mountpoint); passed {
		return nil // where it is mounted only the caller knows
	}
	done := make(chan error, 1)
	go func() {
		_, err := os.Stat(set.Mountpoint)
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil && !errors.Is(err, os.ErrPermission) {
			return fmt.Errorf("mounted, but it does not answer: %w", err)
		}
		return nil
	case <-time.After(answerPatience):
		return fmt.Errorf("mounted, but there was no answer within %v", answerPatience)
	}
}

// serveBackground is what the second process does, from its start to its end.
func serveBackground(set *cmdline.Settings) int {
	fd, err := strconv.Atoi(os.Getenv(readyVar))
	os.Unsetenv(readyVar)
	os.Unsetenv(byMountVar)
	if err != nil {
		return exitFailure
	}
	keepName(os.Args[0])
	unix.CloseOnExec(fd)
	pipe := os.NewFile(uintptr(fd), "ready")
	tell := func(m ready) {
		json.NewEncoder(pipe).Encode(m)
		pipe.Close()
	}
	mounted := false
	code, err := serve(set, logBackground, func() error {
		if err := detach(); err != nil {
			return err
		}
		mounted = true
		tell(ready{})
		return nil
	})
	if !mounted {
		if err == nil {
			err = errors.New("the mount was ended before it was ready")
		}
		tell(ready{Error: err.Error(), Code: exitCode(err)})
	}
	return code
}

// keepName names the process sshfs if it was called by that name, which is a link then: the kernel has named it after the file
// to which the link leads, so that 'killall sshfs' and 'pgrep -x sshfs' would not find it.
func keepName(calledAs string) {
	if filepath.Base(calledAs) == "sshfs" {
		os.WriteFile("/proc/self/comm", []byte("sshfs"), 0) // no more than a convenience, so an error is none
	}
}

// detach leaves terminal, session, working directory and standard streams.
func detach() error {
	if _, err := unix.Setsid(); err != nil && !errors.Is(err, unix.EPERM) {
		return fmt.Errorf("cannot leave the session: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	for fd := range 3 {
		if err := unix.Dup3(int(null.Fd()), fd, 0); err != nil {
			return fmt.Errorf("cannot leave the terminal: %w", err)
		}
	}
	return nil
}
