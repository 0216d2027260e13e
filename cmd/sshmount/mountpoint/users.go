package mountpoint

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/sys/mountinfo"
)

// usersPatience is how long the look at the processes may take.
const usersPatience = 5 * time.Second

// Users names what holds a mount busy: processes, and the mounts that lie in it.
func Users(path string) []string {
	return append(programs(path), within(path)...)
}

// within names the mounts that lie in the one at path.
func within(path string) []string {
	mounts, _ := mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) {
		return m.Mountpoint == path || !Within(m.Mountpoint, path), false
	})
	var names []string
	for _, m := range mounts {
		names = append(names, "the mount at "+m.Mountpoint)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// programs names the processes that work in a mount, have a file of it open or
// mapped, or run a program from it, as far as this user may see them. It reads
// /proc alone, which never touches the mount. A process in the middle of an exec,
// or one whose mapping waits for the mount, can hold up even that, so each is
// looked at apart, and those that take too long are left out.
func programs(path string) []string {
	procs, _ := filepath.Glob("/proc/[0-9]*")
	found := make(chan string, len(procs)) // room for all: those who are late find nobody
	for _, proc := range procs {
		go func() { found <- user(proc, path) }()
	}
	var users []string
	late := time.After(usersPatience)
	for range procs {
		select {
		case u := <-found:
			if u != "" {
				users = append(users, u)
			}
		case <-late:
			return users
		}
	}
	slices.Sort(users)
	return users
}

// user is the name and number of a process that uses path; "" for one that doesn't.
func user(proc, path string) string {
	pid, err := strconv.Atoi(filepath.Base(proc))
	if err != nil || pid == os.Getpid() || !holds(proc, path) {
		return ""
	}
	comm, _ := os.ReadFile(proc + "/comm")
	return fmt.Sprintf("%s (%d)", strings.TrimSpace(string(comm)), pid)
}

// Within says whether name is dir or lies below it.
func Within(name, dir string) bool {
	return name == dir || strings.HasPrefix(name, strings.TrimSuffix(dir, "/")+"/")
}

func holds(proc, path string) bool {
	links := []string{proc + "/cwd", proc + "/root", proc + "/exe"}
	fds, _ := filepath.Glob(proc + "/fd/*")
	for _, link := range append(links, fds...) {
		to, err := os.Readlink(link)
		if err == nil && Within(to, path) {
			return true
		}
	}
	return maps(proc, path)
}

// maps says whether a process has a file of the mount mapped: a library is, and closed, while the program runs.
func maps(proc, path string) bool {
	list, _ := os.ReadFile(proc + "/maps")
	for line := range strings.Lines(string(list)) {
		if i := strings.IndexByte(line, '/'); i >= 0 && Within(mapsEscapes.Replace(strings.TrimSuffix(line[i:], "\n")), path) {
			return true
		}
	}
	return false
}

// mapsEscapes undoes what the kernel does to names in /proc/PID/maps.
var mapsEscapes = strings.NewReplacer(`\012`, "\n")
