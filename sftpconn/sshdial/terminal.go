package sshdial

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxAnswer bounds what is read as one answer, in bytes.
const maxAnswer = 4096

// Terminal asks on the controlling terminal, or by the program that SSH_ASKPASS
// names, chosen as ssh chooses: SSH_ASKPASS_REQUIRE=force and prefer mean the
// program, never the terminal alone; without it the program serves where there
// is no terminal but a display. It is an error where there is neither.
func Terminal() (Prompter, error) {
	program, require := os.Getenv("SSH_ASKPASS"), os.Getenv("SSH_ASKPASS_REQUIRE")
	display := os.Getenv("DISPLAY") != "" || os.Getenv("WAYLAND_DISPLAY") != ""
	if program != "" && (require == "force" || require == "prefer" && display) {
		return askpassPrompter{program}, nil
	}
	// Nonblocking, so that a wait for the user can be ended.
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err == nil {
		return &terminal{tty}, nil
	}
	if program != "" && display && require != "never" {
		return askpassPrompter{program}, nil
	}
	return nil, fmt.Errorf("there is no terminal to ask on: %w", err)
}

// terminal asks on /dev/tty.
type terminal struct{ tty *os.File }

func (t *terminal) Close() error { return t.tty.Close() }

func (t *terminal) Notice(line string) { fmt.Fprintf(t.tty, "%s\r\n", line) }

func (t *terminal) Ask(ctx context.Context, prompt string, echo bool) (answer string, err error) {
	// A signal must not leave the terminal without echo. Whoever else listens
	// for it gets it too, and what is ignored (nohup) stays so.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, slices.DeleteFunc([]os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT}, signal.Ignored)...)
	defer signal.Stop(signals)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var restore func()
	suspensions := make(chan os.Signal, 1)
	if !echo {
		if restore, err = t.hide(); err != nil {
			return "", err
		}
		defer notifySuspension(suspensions)()
	}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for {
			select {
			case <-signals:
				cancel(errInterrupted)
			case <-suspensions:
				restore()
				suspend()
				if _, err := t.hide(); err != nil {
					cancel(err)
				}
				fmt.Fprint(t.tty, "\r\n"+prompt)
			case <-ctx.Done():
				return
			}
		}
	}()
	if !echo {
		defer func() {
			cancel(nil)
			<-watched // which may be about to hide what is typed
			restore()
			fmt.Fprint(t.tty, "\r\n")
		}()
	}
	t.tty.SetReadDeadline(time.Time{})
	stop := context.AfterFunc(ctx, func() { t.tty.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := io.WriteString(t.tty, prompt); err != nil {
		return "", fmt.Errorf("the terminal cannot be written to: %w", err)
	}
	line, err := readLine(t.tty)
	defer wipe(line)
	switch {
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case errors.Is(err, io.EOF):
		return "", errNoAnswer
	case err != nil:
		return "", fmt.Errorf("the terminal cannot be read: %w", err)
	}
	return string(line), nil
}

// hide switches the echo off until restore is called.
func (t *terminal) hide() (restore func(), err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("the terminal's echo cannot be switched off: %w", err)
		}
	}()
	raw, err := t.tty.SyscallConn()
	if err != nil {
		return nil, err
	}
	var before *unix.Termios
	var ioctl error
	err = raw.Control(func(fd uintptr) {
		if before, ioctl = unix.IoctlGetTermios(int(fd), unix.TCGETS); ioctl != nil {
			return
		}
		hidden := *before
		hidden.Lflag &^= unix.ECHO
		hidden.Lflag |= unix.ICANON | unix.ISIG
		hidden.Iflag |= unix.ICRNL
		// What was typed before the question is no answer to it.
		ioctl = unix.IoctlSetTermios(int(fd), unix.TCSETSF, &hidden)
	})
	if err = errors.Join(err, ioctl); err != nil {
		return nil, err
	}
	return func() {
		raw.Control(func(fd uintptr) { unix.IoctlSetTermios(int(fd), unix.TCSETS, before) })
	}, nil
}

// readLine reads up to the end of a line, byte by byte: what comes after it is
// for whoever reads next. At the end of the input it gives io.EOF.
func readLine(r io.Reader) ([]byte, error) {
	line := make([]byte, 0, maxAnswer)
	b := make([]byte, 1)
	for {
		n, err := r.Read(b)
		if n == 1 && b[0] == '\n' {
			return bytes.TrimSuffix(line, []byte("\r")), nil
		}
		if err != nil {
			return line, err
		}
		if n == 1 && len(line) < maxAnswer {
			line = append(line, b[0])
		}
	}
}

// askpassPrompter asks by a program that shows its argument and prints the answer.
type askpassPrompter struct{ program string }

func (a askpassPrompter) Notice(line string) { fmt.Fprintln(os.Stderr, line) }

func (a askpassPrompter) Ask(ctx context.Context, prompt string, echo bool) (string, error) {
	cmd := exec.CommandContext(ctx, a.program, strings.TrimSpace(prompt))
	cmd.WaitDelay = time.Second
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	defer wipe(out)
	if err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		if _, ended := errors.AsType[*exec.ExitError](err); ended {
			return "", errInterrupted
		}
		return "", fmt.Errorf("SSH_ASKPASS cannot be run: %w", err)
	}
	line, _, _ := bytes.Cut(out, []byte("\n"))
	return string(bytes.TrimSuffix(line, []byte("\r"))), nil
}
