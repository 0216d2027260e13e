package sshdial

import (
	"bytes"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Ctrl-Z at a question whose answer is not shown must give the terminal back with its echo. The shell gives it back without one,
// or with one where there was none, when the program goes on; so the echo is switched off anew then, and the question put again.

// notifySuspension has Ctrl-Z come to c in place of stopping the process, unless it is ignored.
func notifySuspension(c chan<- os.Signal) {
	if !signal.Ignored(syscall.SIGTSTP) {
		signal.Notify(c, syscall.SIGTSTP)
	}
}

// suspend stops the process as Ctrl-Z would have done, and returns when it goes on. SIGTSTP itself would not do: the runtime keeps
// its handler. The signal goes to this very thread, which stops before suspend returns.
func suspend() {
	if orphaned() {
		return // as for SIGTSTP: nobody would let it go on
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGSTOP)
}

// orphaned says whether no shell is behind this process: none of its ancestors in its session is of another job.
func orphaned() bool {
	job, session := unix.Getpgrp(), 0
	for pid := unix.Getpid(); ; {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return true
		}
		var state byte
		var parent, its, ses int
		if _, err := fmt.Sscanf(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " %c %d %d %d", &state, &parent, &its, &ses); err != nil {
			return true
		}
		switch {
		case session == 0:
			session = ses
		case ses != session:
			return true
		case its != job:
			return false
		}
		pid = parent
	}
}
