package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The thread that the runtime starts first looks for goroutines that keep a processor while they wait for the kernel.
func TestTheThreadThatTakesProcessorsAwayMayWakeLate(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs CAP_SYS_NICE")
	}
	slowWatch()
	tasks, err := filepath.Glob("/proc/self/task/*")
	if err != nil {
		t.Fatal(err)
	}
	late := 0
	for _, task := range tasks {
		tid, err := strconv.Atoi(filepath.Base(task))
		if err != nil {
			t.Fatal(err)
		}
		slack, err := os.ReadFile(fmt.Sprintf("/proc/%d/timerslack_ns", tid))
		if err != nil {
			continue // a thread that has ended
		}
		if strings.TrimSpace(string(slack)) == strconv.Itoa(watchSlack) {
			late++
			if tid == os.Getpid() {
				t.Error("the main thread wakes late")
			}
		}
	}
	if late == 0 {
		t.Errorf("none of %d threads does", len(tasks))
	}
}
