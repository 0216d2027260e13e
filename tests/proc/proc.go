// Package proc reads from /proc what the whole-program tests, the bench and the tests of broken
// lines want to know of processes (who descends from whom, CPU time and peak memory) and of mounts.
package proc

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/sys/mountinfo"
)

// Linux counts CPU time in /proc in hundredths of a second, on every machine.
const tick = time.Second / 100

// stat is what /proc/PID/stat says, as far as it is used here.
type stat struct {
	name string // the first 15 bytes of the program's file name, or what it calls itself
	ppid int
	pgrp int
	cpu  time.Duration // of the process and of those of its children that it has waited for
	// ended says that only its parent's wait is missing (a zombie).
	ended bool
}

func read(pid int) (stat, bool) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}, false
	}
	// The name is in parentheses and may hold anything, parentheses too.
	open, end := bytes.IndexByte(data, '('), bytes.LastIndexByte(data, ')')
	if open < 0 || end < open {
		return stat{}, false
	}
	f := strings.Fields(string(data[end+1:]))
	if len(f) < 15 {
		return stat{}, false
	}
	number := func(i int) int64 { n, _ := strconv.ParseInt(f[i], 10, 64); return n }
	// Counted from the state, which is field 3 of proc(5): ppid is 4, pgrp 5, utime to cstime are 14 to 17.
	return stat{
		name: string(data[open+1 : end]),
		ppid: int(number(1)),
		pgrp: int(number(2)),
		cpu:  time.Duration(number(11)+number(12)+number(13)+number(14)) * tick,

		ended: f[0] == "Z",
	}, true
}

// Name is the command's name, "" when the process has ended.
func Name(pid int) string {
	s, _ := read(pid)
	return s.name
}

// Running are all processes with their names, but for those that have ended and that their parent has not waited for.
func Running() map[int]string {
	all := make(map[int]string)
	each(func(p int, s stat) {
		if !s.ended {
			all[p] = s.name
		}
	})
	return all
}

// Descendants are the children of a process, their children and so on, without itself.
func Descendants(pid int) []int {
	children := make(map[int][]int)
	each(func(p int, s stat) { children[s.ppid] = append(children[s.ppid], p) })
	var all []int
	for next := []int{pid}; len(next) > 0; {
		c := children[next[0]]
		all = append(all, c...)
		next = append(next[1:], c...)
	}
	return all
}

// Family is a process that leads a process group, with its descendants and with the others
// of its group: programs that start helpers by two forks are no longer their parents.
func Family(leader int) []int {
	members := map[int]bool{leader: true}
	for _, p := range Descendants(leader) {
		members[p] = true
	}
	each(func(p int, s stat) {
		if s.pgrp == leader {
			members[p] = true
		}
	})
	return slices.Sorted(maps.Keys(members))
}

func each(f func(pid int, s stat)) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		p, err := strconv.Atoi(filepath.Base(d))
		if err != nil {
			continue
		}
		if s, ok := read(p); ok {
			f(p, s)
		}
	}
}

// CPU is the time, user's and system's, that processes have used so far.
func CPU(pids []int) (sum time.Duration) {
	for _, p := range pids {
		if s, ok := read(p); ok {
			sum += s.cpu
		}
	}
	return sum
}

// Peak is the sum of the largest resident sizes, in bytes, that processes ever had.
func Peak(pids []int) (sum int64) {
	for _, p := range pids {
		sum += field(p, "VmHWM:")
	}
	return sum
}

func field(pid int, name string) int64 {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			kib, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kib << 10
		}
	}
	return 0
}

// Mounted says whether there is a mount on dir. It looks into the kernel's table, which cannot hang as a look at the mount could.
func Mounted(dir string) bool {
	mounts, err := mountinfo.GetMounts(mountinfo.SingleEntryFilter(dir))
	return err == nil && len(mounts) > 0
}

// MountsUnder lists the mount points at or below dir, each before those that lie in it. It cannot hang either.
func MountsUnder(dir string) []string {
	mounts, _ := mountinfo.GetMounts(mountinfo.PrefixFilter(dir))
	var points []string
	for _, m := range mounts {
		points = append(points, m.Mountpoint)
	}
	return points
}
