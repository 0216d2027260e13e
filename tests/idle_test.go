package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// A mount that nobody uses leaves the processor asleep, but for a look now and then.
func TestAnIdleMountWakesTheProcessorSeldom(t *testing.T) {
	onlySshmount(t)
	t.Parallel()
	const window, most = 10 * time.Second, 80
	m := newServer(t).mount()
	_, err := os.ReadDir(m.path(""))
	must(t, err)
	eventually(t, 6*window, "it is quiet", func() (bool, string) {
		before := m.switches(t)
		time.Sleep(window)
		n := m.switches(t) - before
		return n <= most, fmt.Sprintf("%d changes of context in %v", n, window)
	})
}

var switchesLine = regexp.MustCompile(`(?m)^(?:non)?voluntary_ctxt_switches:\s+(\d+)$`)

// switches is how often a thread of the mount's process was given a processor (ctxt_switches of proc_pid_status(5)).
func (m *mounted) switches(t *testing.T) (sum int) {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", m.cmd.Process.Pid))
	must(t, err)
	for _, status := range threads {
		for _, line := range switchesLine.FindAllStringSubmatch(read(t, status), -1) {
			n, err := strconv.Atoi(line[1])
			must(t, err)
			sum += n
		}
	}
	return sum
}
