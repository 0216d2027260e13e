package fusefs

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"syscall"
)

// signals is a set as in /proc/PID/status: bit n-1 for signal n.
type signals uint64

func (s signals) has(sig syscall.Signal) bool { return s&(1<<(sig-1)) != 0 }

var errNoPid = errors.New("the process is not visible from here")

// pendingSignals are those that wait for a thread and are neither blocked nor
// ignored. A signal that ends the process by default is pending as SIGKILL in
// each of its threads: the kernel makes it so.
func pendingSignals(tid uint32) (signals, error) {
	if tid == 0 {
		return 0, errNoPid
	}
	status, err := os.ReadFile("/proc/" + strconv.FormatUint(uint64(tid), 10) + "/status")
	if err != nil {
		return 0, err
	}
	return parsePending(status)
}

func parsePending(status []byte) (signals, error) {
	var pending, blocked, ignored signals
	found := 0
	for line := range bytes.Lines(status) {
		key, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			continue
		}
		var set *signals
		switch string(key) {
		case "SigPnd", "ShdPnd":
			set = &pending
		case "SigBlk":
			set = &blocked
		case "SigIgn":
			set = &ignored
		default:
			continue
		}
		n, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 16, 64)
		if err != nil {
			return 0, err
		}
		*set |= signals(n)
		found++
	}
	if found != 4 {
		return 0, errors.New("no signal masks in /proc/PID/status")
	}
	return pending &^ blocked &^ ignored, nil
}

// diesBySignal says whether a thread is on its way out because of a signal.
// Such a thread closes its files while it gets no more signals, so nothing else
// can end its waiting. A process that ends by itself waits for its bytes.
func diesBySignal(tid uint32) bool {
	if tid == 0 {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.FormatUint(uint64(tid), 10) + "/stat")
	return err == nil && parseDying(stat)
}

// parseDying reads the fields flags (9th) and exit_code (52nd) of /proc/PID/stat, see proc_pid_stat(5).
func parseDying(stat []byte) bool {
	const exiting = 0x4                 // PF_EXITING
	i := bytes.LastIndexByte(stat, ')') // the 2nd field may hold anything
	if i < 0 {
		return false
	}
	fields := bytes.Fields(stat[i+1:])
	if len(fields) < 50 {
		return false
	}
	flags, err1 := strconv.ParseUint(string(fields[9-3]), 10, 64)
	code, err2 := strconv.ParseUint(string(fields[52-3]), 10, 64)
	return err1 == nil && err2 == nil && flags&exiting != 0 && code&0x7f != 0
}
