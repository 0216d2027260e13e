package sshdial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// sshG asks ssh what its configuration says.
type sshG struct {
	ssh string // its path
	// alone gives it a session of its own, which ends with ctx as a whole: the shell of a `Match exec` outlives ssh otherwise. It
	// finds no terminal there, so this is for when nobody looks at one.
	alone bool
}

// run runs `ssh -G` and reads its output. That goes to files in memory and not through pipes: a pipe has no end for as long as what a
// `Match exec` has left in the background holds it open.
func (g sshG) run(ctx context.Context, args []string, host string) (map[string][]string, error) {
	out, err := memoryFile("ssh -G")
	if err != nil {
		return nil, err
	}
	defer out.Close()
	remarks, err := memoryFile("ssh -G remarks")
	if err != nil {
		return nil, err
	}
	defer remarks.Close()
	// -T keeps ssh from remarking on a missing terminal.
	args = append(append([]string{"-G", "-T"}, args...), "--", host)
	cmd := exec.CommandContext(ctx, g.ssh, args...)
	cmd.Stdout, cmd.Stderr = out, remarks
	if g.alone {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	}
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		said := strings.Join(strings.Fields(contentOf(remarks)), " ")
		if said == "" {
			said = err.Error()
		}
		return nil, badConfig(strings.HasPrefix(said, "command-line"), "ssh's configuration for %s cannot be used: %s", host, said)
	}
	values := map[string][]string{}
	for line := range strings.Lines(contentOf(out)) {
		key, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		if key != "" {
			key = strings.ToLower(key)
			values[key] = append(values[key], value)
		}
	}
	return values, nil
}

// memoryFile is a file that has its content in memory, and its name for those who look for it in /proc.
func memoryFile(name string) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("no memory for the output of %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// contentOf is what was written to f up to now.
func contentOf(f *os.File) string {
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	content := make([]byte, info.Size())
	if n, err := f.ReadAt(content, 0); err != nil && !errors.Is(err, io.EOF) {
		content = content[:n]
	}
	return string(content)
}
