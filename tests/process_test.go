package tests

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// process is a running program as /proc shows it.
type process struct {
	pid, parent int
	name        string // the first 15 bytes of the program's file name, or what it calls itself
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
	for _, p := range allProcesses() {
		switch name := p.name; {
		case strings.HasPrefix(name, "sshmount"), strings.HasPrefix(name, "sshd"), strings.HasPrefix(name, "mount."),
			name == "sshfs", name == "ssh", name == "sftp-server":
			if strings.Contains(p.commandLine(), text) {
				found = append(found, p)
			}
		}
	}
	return found
}

func allProcesses() []process {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var all []process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue // it has ended
		}
		// The name in brackets may itself hold brackets and spaces: it ends with the last one.
		name, rest := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
		if name < 0 || rest < name {
			continue
		}
		fields := strings.Fields(string(stat[rest+1:]))
		if len(fields) < 2 || fields[0] == "Z" {
			continue
		}
		parent, _ := strconv.Atoi(fields[1])
		all = append(all, process{pid, parent, string(stat[name+1 : rest])})
	}
	return all
}

// descendants lists the processes below pid, children before grandchildren.
func descendants(pid int) []process {
	all := allProcesses()
	var found []process
	generation := map[int]bool{pid: true}
	for len(generation) > 0 {
		next := map[int]bool{}
		for _, p := range all {
			if generation[p.parent] {
				found = append(found, p)
				next[p.pid] = true
			}
		}
		generation = next
	}
	return found
}
