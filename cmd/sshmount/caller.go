package main

import (
	"bytes"
	"os"
	"strconv"
	"strings"
)

// byMountVar tells the second process, whose parent is the first one, the result of calledByMount there.
const byMountVar = "SSHMOUNT_BY_MOUNT"

// calledByMount reports whether mount(8) has called the program. Without a helper
// of our name mount(8) calls mount.fuse3, which runs the program through a shell. So
// the name of the program shows nothing, and the shell is our parent, or has been
// replaced by us.
func calledByMount() bool {
	if inBackground() {
		return os.Getenv(byMountVar) != ""
	}
	pid := os.Getppid()
	for range 3 {
		comm, parent := process(pid)
		switch {
		case comm == "mount" || strings.HasPrefix(comm, "mount.fuse"):
			return true
		case comm != "sh" && comm != "dash" && comm != "bash":
			return false
		}
		pid = parent
	}
	return false
}

// process reads a process's name and parent from /proc.
func process(pid int) (comm string, parent int) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", 0
	}
	open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if open < 0 || end < open {
		return "", 0
	}
	fields := bytes.Fields(stat[end+1:])
	if len(fields) < 2 {
		return "", 0
	}
	parent, err = strconv.Atoi(string(fields[1]))
	if err != nil {
		return "", 0
	}
	return string(stat[open+1 : end]), parent
}
