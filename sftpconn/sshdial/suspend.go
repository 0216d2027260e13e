package sshdial

import (
	"bytes"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Ctrl-Z at a question whose answer is not shown must leave the terminal with its echo on. When the program goes on, the shell may hand
// the terminal back in either state; so the echo is switched off again, and the question is shown once more.

// suspensions handles Ctrl-Z from the first such question until the process ends: Go's runtime keeps its handler when nobody wants the
// signal any more, and then ignores it.
var suspensions struct {
	once sync.Once

	mu       sync.Mutex       // guards what follows; a leaf
	question chan<- os.Signal // of the question that is asked; nil where none is
}

// notifySuspension has Ctrl-Z, unless that is ignored, sent to c until stop is called, in place of stopping the process.
func notifySuspension(c chan<- os.Signal) (stop func()) {
	if signal.Ignored(syscall.SIGTSTP) {
		return func() {}
	}
	suspensions.once.Do(func() {
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGTSTP)
		go heedSuspensions(signals)
	})
	set := func(c chan<- os.Signal) {
		suspensions.mu.Lock()
		defer suspensions.mu.Unlock()
		suspensions.question = c
	}
	set(c)
	return func() { set(nil) }
}

// heedSuspensions passes each Ctrl-Z to the question or, where there is none, stops the process. It never returns.
func heedSuspensions(signals <-chan os.Signal) {
	for s := range signals {
		suspensions.mu.Lock()
		c := suspensions.question
		suspensions.mu.Unlock()
		if c == nil {
			suspend()
			continue
		}
		select {
		case c <- s:
		default: // it has one to come
		}
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
