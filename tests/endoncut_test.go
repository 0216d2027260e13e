package tests

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// Programs that work in one directory, of which one holds it in the kernel and waits for the line, while the process has names of it
// forgotten: were the process to end in the midst of that, nothing could end them any more.
func TestProgramsDoNotOutliveAMountThatEndsOnALostLine(t *testing.T) {
	t.Parallel()
	onlySshmount(t)
	s := newServer(t)
	m := s.mount()
	var programs []*background
	for i := range 4 {
		programs = append(programs, start(t, "", nil, "sh", "-c", `
			cd "$1" && while :; do
				n=$((n+1))
				echo content >"$2-$n.tmp" && mv "$2-$n.tmp" "$2-$n" || exit 0
			done`, "sh", m.point, fmt.Sprint("program", i)))
	}
	eventually(t, 20*time.Second, "all are at work", func() (bool, string) {
		for i := range programs {
			if name := fmt.Sprintf("program%d-3", i); !exists(s.local(name)) {
				return false, "no " + name
			}
		}
		return true, ""
	})
	s.down()
	time.Sleep(500 * time.Millisecond) // so that each has come to wait
	for range 2 {
		if err := m.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		time.Sleep(500 * time.Millisecond)
	}
	select {
	case <-m.ended:
	case <-time.After(15 * time.Second):
		t.Fatalf("the process is still there 15 s after a second SIGTERM:\n%s", m.logText())
	}
	for i, p := range programs {
		select {
		case <-p.done:
		case <-time.After(10 * time.Second):
			t.Errorf("program %d hangs though the mount has ended", i)
		}
	}
}
