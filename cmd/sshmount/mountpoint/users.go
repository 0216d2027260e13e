package mountpoint

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Users names the processes that hold a mount busy: those that work in it,
// have a file of it open or run a program from it, as far as this user may see
// them. It reads links of /proc alone, which never touch the mount.
func Users(path string) []string {
	var users []string
	procs, _ := filepath.Glob("/proc/[0-9]*")
	for _, proc := range procs {
		pid, err := strconv.Atoi(filepath.Base(proc))
		if err != nil || pid == os.Getpid() || !holds(proc, path) {
			continue
		}
		comm, _ := os.ReadFile(proc + "/comm")
		users = append(users, fmt.Sprintf("%s (%d)", strings.TrimSpace(string(comm)), pid))
	}
	return users
}

func holds(proc, path string) bool {
	links := []string{proc + "/cwd", proc + "/root", proc + "/exe"}
	fds, _ := filepath.Glob(proc + "/fd/*")
	for _, link := range append(links, fds...) {
		to, err := os.Readlink(link)
		if err == nil && (to == path || strings.HasPrefix(to, strings.TrimSuffix(path, "/")+"/")) {
			return true
		}
	}
	return false
}
