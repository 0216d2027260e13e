package tests

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// mountsUnder lists the mount points at or below dir, the deepest last.
func mountsUnder(dir string) []string {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	var found []string
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		point := unescapeMountinfo(fields[4])
		if point == dir || strings.HasPrefix(point, dir+"/") {
			found = append(found, point)
		}
	}
	return found
}

// unescapeMountinfo undoes the octal escapes of space, tab, newline and backslash in /proc/self/mountinfo.
func unescapeMountinfo(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// detach takes a mount point away, whatever state the mount is in.
func detach(point string) {
	if os.Getuid() == 0 {
		_ = exec.Command("umount", "-f", "-l", point).Run()
		return
	}
	_ = exec.Command("fusermount3", "-u", "-z", point).Run()
}
