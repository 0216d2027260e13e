package control

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
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

	dir string
}

// base is the name of a mount's files, without the ending.
func base(dir, mountpoint string) string {
	sum := sha256.Sum256([]byte(mountpoint))
	return filepath.Join(dir, hex.EncodeToString(sum[:8]))
}

func (r Record) socket() string { return base(r.dir, r.Mountpoint) + ".sock" }
func (r Record) file() string   { return base(r.dir, r.Mountpoint) + ".json" }

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

func (r Record) save() error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	tmp := r.file() + ".new"
	if err := os.WriteFile(tmp, append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, r.file())
}

// remove takes the record and its socket away, unless another process has put its own there.
func (r Record) remove() {
	if now, err := load(r.file()); err == nil && (now.PID != r.PID || now.Born != r.Born) {
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
	r.dir = filepath.Dir(file)
	return r, nil
}

// Records are those of every mount of this user, dead ones included, by mount point.
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
	sort.Slice(list, func(i, j int) bool { return list[i].Mountpoint < list[j].Mountpoint })
	return list
}

// Find is the record of one mount point, a live one where there are several.
func Find(mountpoint string) (Record, bool) {
	var found Record
	ok := false
	for _, r := range Records() {
		if r.Mountpoint == mountpoint && (!ok || r.Alive()) {
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
