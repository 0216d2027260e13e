package sshdial

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The kernel goes on sending what a program has written when the program is dead. A WRITE
// or REMOVE in that could be done after requests of the next connection. So it is dropped,
// on the TCP connections of the program and of its descendants. Where the system does not
// allow that (a program of another user, a kernel before 5.6) nothing is changed.

// dropUnsentLater has the kernel drop what is unsent when the program ends, also by itself.
func dropUnsentLater(pid int) {
	connections(pid, func(fd int) {
		_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	})
}

// dropUnsent ends the connections at once, while the program has them open.
func dropUnsent(pid int) {
	connections(pid, func(fd int) {
		// To connect to no address is to disconnect (connect(2)), for which unix.Connect has no form.
		nowhere := unix.RawSockaddr{Family: unix.AF_UNSPEC}
		_, _, _ = unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&nowhere)), unsafe.Sizeof(nowhere))
	})
}

// connections calls f with a descriptor of each TCP connection of a program and of its descendants that no other process has
// open. Others are not the program's own: ssh leaves its connection to a master that it has put into the background
// (ControlPersist), and a descriptor may be inherited from this process.
func connections(pid int, f func(fd int)) {
	members := family(pid)
	others := socketsOfOthers(members)
	for _, pid := range members {
		theirs, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue
		}
		for _, s := range socketsOf(strconv.Itoa(pid)) {
			if others[s.name] {
				continue
			}
			fd, err := unix.PidfdGetfd(theirs, s.fd, 0)
			if err != nil {
				continue
			}
			protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
			if err == nil && protocol == unix.IPPROTO_TCP {
				f(fd)
			}
			unix.Close(fd)
		}
		unix.Close(theirs)
	}
}

// socketsOfOthers names the sockets that processes besides those given have open, as far as we may know.
func socketsOfOthers(members []int) map[string]bool {
	names := map[string]bool{}
	processes, _ := os.ReadDir("/proc")
	for _, p := range processes {
		if pid, err := strconv.Atoi(p.Name()); err == nil && !slices.Contains(members, pid) {
			for _, s := range socketsOf(p.Name()) {
				names[s.name] = true
			}
		}
	}
	return names
}

// socket is an open one of a process; name is the same in each process that has it open.
type socket struct {
	fd   int
	name string
}

func socketsOf(process string) []socket {
	dir := filepath.Join("/proc", process, "fd")
	entries, _ := os.ReadDir(dir) // of a process that is gone there are none
	var all []socket
	for _, e := range entries {
		name, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err != nil || !strings.HasPrefix(name, "socket:") {
			continue
		}
		if fd, err := strconv.Atoi(e.Name()); err == nil {
			all = append(all, socket{fd, name})
		}
	}
	return all
}

// family gives pid and the processes that descend from it.
func family(pid int) []int {
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		lists, _ := filepath.Glob("/proc/" + strconv.Itoa(all[i]) + "/task/*/children")
		for _, list := range lists {
			children, err := os.ReadFile(list)
			if err != nil {
				continue
			}
			for _, child := range strings.Fields(string(children)) {
				if pid, err := strconv.Atoi(child); err == nil {
					all = append(all, pid)
				}
			}
		}
	}
	return all
}
