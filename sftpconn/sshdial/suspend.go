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

// Ctrl-Z at a question whose answer is not shown must give the terminal to the shell with its echo on. A shell may hand it back in
// either state when the program goes on; so the echo is switched off again then, and the question put once more.

// notifySuspension has Ctrl-Z come to c in place of stopping the process, unless it is ignored.
func notifySuspension(c chan<- os.Signal) {
	if !signal.Ignored(syscall.SIGTSTP) {
		signal.Notify(c, syscall.SIGTSTP)
	}
}

// suspend stops the process as Ctrl-Z would have done, and returns when it goes on. Sending SIGTSTP would not stop it, as Go's runtime
// keeps its handler; SIGSTOP can't be caught. It goes to this very thread, so that the process has stopped before suspend returns.
func suspend() {
	if orphaned() {
		return // as for SIGTSTP: nobody would let it go on
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGSTOP)
}

// orphaned says whether no shell is there to let this process go on: none of its ancestors is in its session and of another process
// group.
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
