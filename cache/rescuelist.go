package cache

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// noteEnding is added to the name of a rescue file for the name of the list beside it, which says what it holds.
const noteEnding = ".txt"

// note adds a line to the list beside a rescue file, as a whole or not at all; takeBack takes it out again.
func (r *rescue) note(name, line string) (takeBack func()) {
	list := name + noteEnding
	var size int64
	if info, err := os.Stat(list); err == nil {
		size = info.Size()
	}
	takeBack = func() { os.Truncate(list, size) }
	f, err := os.OpenFile(list, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err == nil {
		_, err = f.WriteString(line)
		err = errors.Join(err, f.Close())
	}
	if err != nil { // the bytes are kept all the same
		takeBack()
		r.log.Error("the list of what a rescue file holds lacks a line", "line", strings.TrimSpace(line), "err", err)
	}
	return takeBack
}

// tell adds a line for the status. Called with mu held.
func (r *rescue) tell(line string) {
	if len(r.lines) < maxReports {
		r.lines = append(r.lines, line)
	} else {
		r.more++
	}
}

// list gives the lines for the status.
func (r *rescue) list() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	lines := append([]string(nil), r.lines...)
	if r.more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more in %s", r.more, r.dir))
	}
	return lines
}
