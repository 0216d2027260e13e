package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"sshmount/tests/proc"
)

// mountForeground returns when the mount is there. unmount waits for the end of the peer,
// kill ends it at once.
func (m *measure) mountForeground() (unmount func() error, kill func(), err error) {
	args := m.peer.mount(m, false)
	var output bytes.Buffer
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+m.scratch) // where sshmount's control socket is found
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	m.pid = cmd.Process.Pid
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	kill = func() {
		select {
		case <-ended:
			return
		default:
		}
		family := proc.Family(m.pid)
		for _, pid := range family {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		exec.Command("fusermount3", "-uz", m.mnt).Run()
		<-ended
	}
	deadline := time.Now().Add(30 * time.Second)
	for !proc.Mounted(m.mnt) {
		select {
		case <-ended:
			return nil, nil, fmt.Errorf("%s did not mount: %s", m.peer.name, lastLine(output.String()))
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) || m.ctx.Err() != nil {
			kill()
			return nil, nil, fmt.Errorf("%s did not mount in time: %s", m.peer.name, lastLine(output.String()))
		}
	}
	unmount = func() error {
		begin := time.Now()
		defer func() { m.sample.Drain = time.Since(begin) }()
		for {
			out, err := exec.Command("fusermount3", "-u", m.mnt).CombinedOutput()
			if err == nil {
				break
			}
			if time.Since(begin) > 5*time.Second {
				kill()
				return fmt.Errorf("unmounting: %w: %s", err, out)
			}
			time.Sleep(50 * time.Millisecond)
		}
		select {
		case <-ended:
			return nil
		case <-time.After(2 * time.Minute):
			kill()
			return fmt.Errorf("%s did not end within two minutes of being unmounted", m.peer.name)
		}
	}
	return unmount, kill, nil
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// command is a program that dies with the measure.
func (m *measure) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(m.ctx, name, args...)
	cmd.Env = gitEnv()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 2 * time.Second
	return cmd
}

// exec runs a command and gives its standard output.
func (m *measure) exec(name string, args ...string) ([]byte, error) {
	return output(m.command(name, args...))
}

func output(cmd *exec.Cmd) ([]byte, error) {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, lastLine(stderr.String()))
	}
	return out, err
}

// account adds the CPU time of programs that ran and ended, with that of their children.
func (m *measure) account(cmds ...*exec.Cmd) {
	for _, cmd := range cmds {
		if st := cmd.ProcessState; st != nil {
			m.sample.CPU += st.UserTime() + st.SystemTime()
		}
	}
}

// watchPeak follows the memory of the transferring programs that run at present, all of
// them below this process, until it is told to stop. (What wait4 reports as the largest
// size of a child is at least this process's own, which the child was until its exec.)
func watchPeak() (stop func() (bytes int64)) {
	end, result := make(chan struct{}), make(chan int64)
	go func() {
		var peak int64
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			var pids []int
			for _, pid := range proc.Descendants(os.Getpid()) {
				if name := proc.Name(pid); name == "ssh" || name == "sftp" {
					pids = append(pids, pid)
				}
			}
			peak = max(peak, proc.Peak(pids))
			select {
			case <-end:
				result <- peak
				return
			case <-tick.C:
			}
		}
	}()
	return func() int64 { close(end); return <-result }
}
