package control

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Record says of a mount who serves it. It is kept beside the socket, so that
// a mount whose process is gone can still be named.
type Record struct {
	Mountpoint string    `json:"mountpoint"`
	Source     string    `json:"source"`
	PID        int       `json:"pid"`
	Born       string    `json:"born"` // start of the process in ticks since boot: a pid is used again, the pair is not
	Started    time.Time `json:"started"`
	Version    string    `json:"version"`
	Log        string    `json:"log,omitempty"`

	dir, name string // of its files; the name without the ending
}

func (r Record) socket() string { return filepath.Join(r.dir, r.name+".sock") }
func (r Record) file() string   { return filepath.Join(r.dir, r.name+".json") }

// in is the record with a place in a directory for its files: that of the mount point, or where another process has that still, one
// of its own. A mount that is detached, or saves what was written before its end, goes on beside a new one at the same mount point.
func (r Record) in(dir string) Record {
	r.dir, r.name = dir, shortName(r.Mountpoint)
	if there, err := load(r.file()); err == nil && there.Alive() && !r.sameProcess(there) {
		r.name = shortName(fmt.Sprintf("%s\x00%d", r.Mountpoint, r.PID))
	}
	return r
}

// shortName makes a name of a text that fits into the address of a socket.
func shortName(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

func (r Record) sameProcess(other Record) bool { return r.PID == other.PID && r.Born == other.Born }

// Alive says whether the process that made the record still runs.
func (r Record) Alive() bool { return r.Born != "" && born(r.PID) == r.Born }

// stopped says whether the process is held, by SIGSTOP or a debugger, so that nothing of it runs.
func (r Record) stopped() bool {
	state, born := procStat(r.PID)
	return born == r.Born && (state == 'T' || state == 't')
}

// born reads when a process started; "" where there is none, or only what a
// killed one leaves until its parent asks.
func born(pid int) string {
	state, born := procStat(pid)
	if state == 'Z' || state == 'X' {
		return ""
	}
	return born
}

// procStat reads /proc/PID/stat: the letter of the state (proc(5)), and when the process started, in clock ticks since the machine
// did; 0 and "" where there is no such process.
func procStat(pid int) (state byte, born string) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, ""
	}
	// The second field is the program's name in brackets and may hold anything.
	// The third is the state, the 22nd the time.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 {
		return 0, ""
	}
	return fields[0][0], string(fields[19])
}

// listen makes the socket and the record, both or neither.
func (r Record) listen() (*net.UnixListener, error) {
	// What a process that is gone left there is in the way.
	os.Remove(r.socket())
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: r.socket(), Net: "unix"})
	if err != nil {
		return nil, err
	}
	// Somebody else's may be at that name when this one ends.
	listener.SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(r.socket(), 0o600), r.save()); err != nil {
		listener.Close()
		os.Remove(r.socket())
		return nil, err
	}
	return listener, nil
}

func (r Record) save() error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	tmp := r.file() + ".new"
	if err := os.WriteFile(tmp, append(text, '\n'), 0o600); err != nil {
		os.Remove(tmp)
		return err
	}
	return os.Rename(tmp, r.file())
}

// remove takes the record and its socket away, unless another process has put its own there.
func (r Record) remove() {
	if now, err := load(r.file()); err == nil && !r.sameProcess(now) {
		return
	}
	os.Remove(r.socket())
	os.Remove(r.file())
}

func load(file string) (Record, error) {
	var r Record
	text, err := os.ReadFile(file)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("%s: %w", file, err)
	}
	r.dir, r.name = filepath.Dir(file), strings.TrimSuffix(filepath.Base(file), ".json")
	return r, nil
}

// Records are those of every mount of this user, dead ones included, by mount point, and of one mount point the newest first.
func Records() []Record {
	var list []Record
	for _, dir := range dirs() {
		files, _ := filepath.Glob(filepath.Join(dir, "*.json"))
		for _, f := range files {
			if r, err := load(f); err == nil {
				list = append(list, r)
			}
		}
	}
	slices.SortFunc(list, func(a, b Record) int {
		return cmp.Or(strings.Compare(a.Mountpoint, b.Mountpoint), b.Started.Compare(a.Started))
	})
	return list
}

// Find is the record of one mount point, the newest live one where there are several.
func Find(mountpoint string) (Record, bool) {
	var found Record
	ok := false
	for _, r := range Records() {
		if r.Mountpoint == mountpoint && (!ok || !found.Alive() && r.Alive()) {
			found, ok = r, true
		}
	}
	return found, ok
}

// Forget takes away what a mount whose process is gone has left.
func Forget(r Record) {
	if !r.Alive() {
		r.remove()
	}
}
