package tests

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Small reads from a mount that has just begun find memory that the process has used before: the first use of each page costs more
// than all else that such a read takes, most of all in a virtual machine.
func TestFirstSmallReadsFindMemoryThatWasUsed(t *testing.T) {
	onlySshmount(t)
	if enabled := read(t, "/sys/kernel/mm/transparent_hugepage/enabled"); strings.Contains(enabled, "[never]") {
		t.Skip("this system has no huge pages: memory comes page by page")
	}
	const reads, page = 200, 4 << 10
	s := newServer(t)
	write(t, s.local("f"), string(pseudoRandom(1, 4*reads*page)))
	m := s.mount()
	f, err := os.Open(m.path("f"))
	must(t, err)
	defer f.Close()
	last := -1
	eventually(t, time.Minute, "the mount has all memory that it wants by itself", func() (bool, string) {
		before := last
		time.Sleep(300 * time.Millisecond)
		last = m.faults(t)
		return last == before, fmt.Sprint(before, " faults, then ", last)
	})
	b := make([]byte, page)
	for i := range reads {
		_, err := f.ReadAt(b, int64(i*7%reads)*4*page)
		must(t, err)
	}
	if n := m.faults(t) - last; n > reads { // some come of threads that the runtime starts
		t.Errorf("%d small reads used %d pages of memory for the first time", reads, n)
	}
}

// faults is how often the process of the mount has used a page of memory for the first time (minflt of proc_pid_stat(5)).
func (m *mounted) faults(t *testing.T) int {
	t.Helper()
	stat := read(t, fmt.Sprintf("/proc/%d/stat", m.cmd.Process.Pid))
	_, rest, _ := strings.Cut(stat, ") ")
	n, err := strconv.Atoi(strings.Fields(rest)[7])
	must(t, err)
	return n
}
