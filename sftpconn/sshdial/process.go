package sshdial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// killDelay is how long a process may take to end after SIGTERM.
	killDelay = 2 * time.Second
	// pipeSize is how much a pipe to or from a process may hold, in bytes: with
	// the usual 64 KiB the two processes would have to take turns more often.
	pipeSize = 1 << 20
)

// process is a program that carries the line on its standard input and output.
// It is a net.Conn, of which Close ends the program and never waits for it.
type process struct {
	in     *os.File // our end of its standard input
	out    *os.File // our end of its standard output
	stderr remarks
	cmd    *exec.Cmd
	name   string    // for messages
	group  bool      // it leads a session and a process group of its own
	up     sync.Once // done when its first output shows that it is connected
	once   sync.Once
	done   chan struct{} // closed when it has been reaped
	err    error         // how it ended; set before done is closed
}

var _ net.Conn = (*process)(nil)

// deafToHangup runs its arguments as a program that outlasts the end of its terminal.
const deafToHangup = `trap '' HUP; exec "$@"`

// startProcess runs argv. A program that may ask the user on the terminal has to stay
// in our process group (ownGroup false): in another one it would be stopped when it
// reads from the terminal. It can't leave that terminal later, as the mount does, so
// it is made to ignore the end of the terminal: nobody would be there to log in again.
// Any other program has a session of its own, so that it finds no terminal that could
// stop it. also gets a copy of standard error; it may be nil.
func startProcess(name string, argv, env []string, ownGroup bool, also io.Writer) (*process, error) {
	if _, err := exec.LookPath(argv[0]); err != nil {
		return nil, fmt.Errorf("%s cannot be run: %w", argv[0], err)
	}
	childIn, in, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("no pipe to %s can be made: %w", argv[0], err)
	}
	out, childOut, err := os.Pipe()
	if err != nil {
		childIn.Close()
		in.Close()
		return nil, fmt.Errorf("no pipe from %s can be made: %w", argv[0], err)
	}
	defer childIn.Close()
	defer childOut.Close()
	p := &process{in: in, out: out, name: name, group: ownGroup, done: make(chan struct{})}
	for _, f := range []*os.File{in, out} {
		if raw, err := f.SyscallConn(); err == nil {
			// Where the system allows less, less will do.
			raw.Control(func(fd uintptr) { unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeSize) })
		}
	}
	if !ownGroup {
		argv = append([]string{"/bin/sh", "-c", deafToHangup, "sh"}, argv...)
	}
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = childIn, childOut, &p.stderr
	if also != nil {
		p.cmd.Stderr = io.MultiWriter(&p.stderr, also)
	}
	p.cmd.Env = env
	p.cmd.WaitDelay = time.Second
	if ownGroup {
		p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	}
	if err := p.cmd.Start(); err != nil {
		in.Close()
		out.Close()
		return nil, fmt.Errorf("%s cannot be run: %w", argv[0], err)
	}
	go func() {
		err := p.cmd.Wait()
		// Nobody needs what the program has left behind in its group.
		p.signal(syscall.SIGTERM)
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			err = errors.New(exit.ProcessState.String())
		} else if errors.Is(err, exec.ErrWaitDelay) {
			err = nil
		}
		p.err = err
		close(p.done)
	}()
	return p, nil
}

func (p *process) signal(s syscall.Signal) {
	if p.group {
		syscall.Kill(-p.cmd.Process.Pid, s)
	} else {
		p.cmd.Process.Signal(s)
	}
}

func (p *process) Read(b []byte) (int, error) {
	n, err := p.out.Read(b)
	if n > 0 {
		p.up.Do(func() { dropUnsentLater(p.cmd.Process.Pid) })
	}
	return n, err
}

func (p *process) Write(b []byte) (int, error) { return p.in.Write(b) }

// Close ends the program: it closes the program's TCP connections and its input, sends
// SIGTERM, and after killDelay SIGKILL. It does not wait for the end.
func (p *process) Close() error {
	p.once.Do(func() {
		ended := false
		select {
		case <-p.done:
			ended = true
		default:
			dropUnsent(p.cmd.Process.Pid)
		}
		p.in.Close()
		p.out.Close()
		if ended {
			return
		}
		p.signal(syscall.SIGTERM)
		go func() {
			t := time.NewTimer(killDelay)
			defer t.Stop()
			select {
			case <-p.done:
			case <-t.C:
				p.signal(syscall.SIGKILL)
			}
		}()
	})
	return nil
}

// failure says how the program has ended and what it has said last. It waits a moment for the end, and returns "" where the program still
// runs.
func (p *process) failure() string {
	select {
	case <-p.done:
	case <-time.After(2 * time.Second):
		return ""
	}
	how := "ended"
	if p.err != nil {
		how = p.err.Error()
	}
	said := lastLines(p.stderr.String(), 3)
	if said == "" {
		return fmt.Sprintf("%s: %s", p.name, how)
	}
	return fmt.Sprintf("%s: %s (%s)", p.name, said, how)
}

// complaint is what the program has said last, as the end of a message; "" for nothing.
func (p *process) complaint() string {
	if said := lastLines(p.stderr.String(), 3); said != "" {
		return ", which says: " + said
	}
	return ""
}

// lastLines joins the last n lines that are not empty.
func lastLines(s string, n int) string {
	var lines []string
	for l := range strings.Lines(s) {
		if l = clip(l, 300); l != "" {
			lines = append(lines, l)
		}
	}
	return strings.Join(lines[max(0, len(lines)-n):], "; ")
}

func (p *process) LocalAddr() net.Addr  { return processAddr(p.name) }
func (p *process) RemoteAddr() net.Addr { return processAddr(p.name) }

func (p *process) SetDeadline(t time.Time) error {
	return errors.Join(p.SetReadDeadline(t), p.SetWriteDeadline(t))
}
func (p *process) SetReadDeadline(t time.Time) error  { return p.out.SetReadDeadline(t) }
func (p *process) SetWriteDeadline(t time.Time) error { return p.in.SetWriteDeadline(t) }

// processAddr is the address of what is at the other end of a program.
type processAddr string

func (processAddr) Network() string  { return "pipe" }
func (a processAddr) String() string { return string(a) }

// startProxyCommand runs a ProxyCommand in the user's shell, as ssh does.
func startProxyCommand(command string, detached bool) (net.Conn, error) {
	shell := os.Getenv("SHELL")
	if shell == "" {
		shell = "/bin/sh"
	}
	p, err := startProcess("ProxyCommand", []string{shell, "-c", "exec " + command}, nil, detached, nil)
	if err != nil {
		return nil, startError(false, "ProxyCommand, by the shell that SHELL names", err)
	}
	return p, nil
}

// startError is the error of a program, which what names, that could not be started: a fault of the configuration (given is as of
// ConfigError), unless this machine is only short of something at the moment.
func startError(given bool, what string, err error) error {
	for _, short := range []error{unix.EMFILE, unix.ENFILE, unix.EAGAIN, unix.ENOMEM} {
		if errors.Is(err, short) {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return badConfig(given, "%s: %w", what, err)
}

// waitFirst waits until something can be read from line, without reading it.
func waitFirst(ctx context.Context, line *gatherConn) error {
	_, err := awaiting(ctx, func() (struct{}, error) { return struct{}{}, line.fill() }, func(struct{}) {})
	return err
}
