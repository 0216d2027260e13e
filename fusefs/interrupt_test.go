package fusefs

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

func testWatcher(t *testing.T, dead func() bool) *filesystem {
	w := newWatcher(false, dead)
	t.Cleanup(w.close)
	return &filesystem{watch: w}
}

func alive() bool { return false }

func TestRequestEndsItsContext(t *testing.T) {
	fs := testWatcher(t, alive)
	op := fs.begin(make(chan struct{}), &fuse.InHeader{})
	if op.Err() != nil || op.Value("x") != nil {
		t.Errorf("a fresh request has error %v and value %v", op.Err(), op.Value("x"))
	}
	child, cancel := context.WithTimeout(op, time.Hour)
	defer cancel()
	if child.Err() != nil {
		t.Errorf("the child of a fresh request has error %v", child.Err())
	}
	op.end()
	<-child.Done()
	if !errors.Is(child.Err(), context.Canceled) {
		t.Errorf("after the request its child has error %v", child.Err())
	}
	late := fs.begin(make(chan struct{}), &fuse.InHeader{})
	late.end()
	<-late.Done()
	if late.Err() == nil {
		t.Error("an answered request has no error")
	}
}

func TestInterruptOfAnInvisibleProcessIsObeyedAfterPatience(t *testing.T) {
	fs := testWatcher(t, alive)
	cancel := make(chan struct{})
	op := fs.begin(cancel, &fuse.InHeader{})
	defer op.end()
	child, stop := context.WithCancel(op)
	defer stop()
	close(cancel)
	<-child.Done()
	if waited := time.Since(op.start); waited < patience {
		t.Errorf("the request was ended after %v", waited)
	}
	if !errors.Is(context.Cause(child), syscall.EINTR) {
		t.Errorf("the cause is %v", context.Cause(child))
	}
}

func TestInterruptOfAProcessThatRunsOnIsIgnored(t *testing.T) {
	fs := testWatcher(t, alive)
	cancel := make(chan struct{})
	op := fs.begin(cancel, &fuse.InHeader{Caller: fuse.Caller{Pid: uint32(os.Getpid())}})
	defer op.end()
	close(cancel)
	select {
	case <-op.Done():
		t.Errorf("the request was ended with %v, no signal is pending", context.Cause(op))
	case <-time.After(patience + 4*sweepEvery):
	}
}

func TestAbortedMountEndsEveryWait(t *testing.T) {
	fs := testWatcher(t, func() bool { return true })
	for range 3 {
		op := fs.begin(make(chan struct{}), &fuse.InHeader{})
		<-op.Done()
		if !errors.Is(context.Cause(op), errAborted) {
			t.Errorf("the cause is %v", context.Cause(op))
		}
		op.end()
	}
}

const status = `Name:	cat
State:	S (sleeping)
SigQ:	1/31455
SigPnd:	0000000000000100
ShdPnd:	0000000000004002
SigBlk:	0000000000004000
SigIgn:	0000000000001000
SigCgt:	0000000000000000
`

func TestPendingSignalsAreThoseThatWillCome(t *testing.T) {
	s, err := parsePending([]byte(status))
	if err != nil {
		t.Fatal(err)
	}
	if !s.has(syscall.SIGKILL) || !s.has(syscall.SIGINT) || s.has(syscall.SIGTERM) || s.has(syscall.SIGHUP) {
		t.Errorf("pending are %#x, want SIGKILL and SIGINT and not the blocked SIGTERM", s)
	}
	if _, err := parsePending([]byte("Name:\tcat\n")); err == nil {
		t.Error("a status without masks gave none of them as pending")
	}
	if s, err := pendingSignals(uint32(os.Getpid())); err != nil || s.has(syscall.SIGKILL) {
		t.Errorf("of this process are pending %#x, %v", s, err)
	}
	if _, err := pendingSignals(0); err == nil {
		t.Error("process 0 was found")
	}
}

func TestDyingProcess(t *testing.T) {
	stat := func(flags, code string) []byte {
		fields := strings.Fields(strings.Repeat("0 ", 50))
		fields[0], fields[6], fields[49] = "S", flags, code
		return []byte("12 (a) name) " + strings.Join(fields, " ") + "\n")
	}
	for _, c := range []struct {
		flags, code string
		want        bool
	}{
		{"4194564", "9", true},    // exiting, killed
		{"4194564", "0", false},   // exiting by itself
		{"4194564", "256", false}, // exit(1)
		{"4194560", "9", false},   // not exiting
	} {
		if got := parseDying(stat(c.flags, c.code)); got != c.want {
			t.Errorf("flags %s, exit code %s: %v", c.flags, c.code, got)
		}
	}
	if diesBySignal(uint32(os.Getpid())) || diesBySignal(0) || parseDying([]byte("junk")) {
		t.Error("a living process, none, or junk was taken for a dying one")
	}
}
