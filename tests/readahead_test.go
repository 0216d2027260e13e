package tests

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sshmount/tests/line"
)

// kernelAhead is how many KiB the kernel reads ahead of a program in this mount.
func (m *mounted) kernelAhead() int {
	m.t.Helper()
	st, err := os.Stat(m.point)
	must(m.t, err)
	dev := st.Sys().(*syscall.Stat_t).Dev
	text, err := os.ReadFile(fmt.Sprintf("/sys/class/bdi/%d:%d/read_ahead_kb", unix.Major(dev), unix.Minor(dev)))
	must(m.t, err)
	kib, err := strconv.Atoi(strings.TrimSpace(string(text)))
	must(m.t, err)
	return kib
}

func TestTheKernelReadsFurtherAheadWhereTheServerIsNear(t *testing.T) {
	onlySshmount(t)
	if os.Geteuid() != 0 {
		t.Skip("only root can have the kernel read further ahead")
	}
	s := newServer(t)
	far := 0
	t.Run("far", func(t *testing.T) {
		_, config := s.over(t, line.Config{Delay: 5 * time.Millisecond})
		far = s.mountOver(t, config).kernelAhead()
		if far > 128 {
			t.Errorf("%d KiB over a line of 10 ms", far)
		}
	})
	t.Run("near", func(t *testing.T) {
		near := 0
		for range 5 { // a machine that is very busy answers late now and then
			if near = s.mount().kernelAhead(); near > far {
				return
			}
		}
		t.Errorf("%d KiB beside a server, %d far from one", near, far)
	})
	t.Run("told", func(t *testing.T) {
		for bytes, want := range map[int]int{65536: 64, 0: 0} {
			if told := s.mount("-o", fmt.Sprintf("max_readahead=%d", bytes)).kernelAhead(); told != want {
				t.Errorf("%d KiB with max_readahead=%d", told, bytes)
			}
		}
	})
}
