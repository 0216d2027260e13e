package tests

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"sshmount/tests/proc"
)

// process is a running program.
type process struct {
	pid  int
	name string // as of proc.Name
}

func (p process) String() string { return fmt.Sprintf("%d %s", p.pid, p.commandLine()) }

// commandLine is what the program was started with. The kernel reads it from the program's memory and waits for it
// where the program hangs in a mapping of a mount that does not answer, so it is asked of no program that might.
func (p process) commandLine() string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.pid))
	return string(bytes.ReplaceAll(bytes.TrimRight(b, "\x00"), []byte{0}, []byte{' '}))
}

// processes lists the programs under test, and the servers, whose command line contains text.
func processes(text string) []process {
	var found []process
	for pid, name := range proc.Running() {
		switch {
		case strings.HasPrefix(name, "sshmount"), strings.HasPrefix(name, "sshd"), strings.HasPrefix(name, "mount."),
			name == "sshfs", name == "ssh", name == "sftp-server":
			if p := (process{pid, name}); strings.Contains(p.commandLine(), text) {
				found = append(found, p)
			}
		}
	}
	return found
}
