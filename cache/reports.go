package cache

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// maxReports bounds the errors that wait to be told.
const maxReports = 100

// reports are errors for the next Sync or Close: of changes that failed after they were answered, and of bytes that could not be delivered,
// also where a close or fsync has told its program.
type reports struct {
	mu    sync.Mutex // guards the rest; a leaf
	list  []error    // maxReports at most; nobody else may see them before take, as an *undelivered may still grow
	total int        // how many there were since the last take, also those that list has no room for
}

// report reports a change that failed after it was answered.
func (c *Cache) report(op, path string, err error) {
	c.log.Error("failed after it was answered", "op", op, "path", path, "err", err)
	c.errs.add(op, path, err)
}

// add adds an error of an operation on a path.
func (r *reports) add(op, path string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total++
	if len(r.list) < maxReports {
		r.list = append(r.list, named(op, path, err))
	}
}

// named is err with the operation and the path in front, each once: an error may name both itself, or the operation alone.
func named(op, path string, err error) error {
	told, ok := errors.AsType[*opError](err)
	switch {
	case ok && told.path == path:
		return err
	case !ok || told.op != op || err != error(told):
	case told.path == "":
		return fail(op, path, told.errno, told.err)
	case strings.Contains(err.Error(), strconv.Quote(path)): // it names both names of a rename
		return err
	}
	return fmt.Errorf("%s %q: %w", op, path, err)
}

// undelivered is one report of all bytes of a file that could not be delivered, for the same reason and with the same fate. Those of a large
// file come in hundreds of pieces, which must not crowd out the reports of other files.
type undelivered struct {
	path   string
	off    int64 // of the first piece
	bytes  int64
	pieces int
	fate   string // what became of them
	why    error
}

func (u *undelivered) Error() string {
	where := fmt.Sprintf("at %d", u.off)
	if u.pieces > 1 {
		where = fmt.Sprintf("in %d pieces", u.pieces)
	}
	return named("write", u.path, fmt.Errorf("%d bytes %s are %s: %w", u.bytes, where, u.fate, u.why)).Error()
}

func (u *undelivered) Unwrap() error { return u.why }

// addUndelivered reports bytes at off that could not be delivered; fate is what became of them ("lost", "kept in …").
func (r *reports) addUndelivered(path string, off, bytes int64, fate string, why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, err := range r.list {
		if u, ok := err.(*undelivered); ok && u.path == path && u.fate == fate && u.why.Error() == why.Error() {
			u.bytes += bytes
			u.pieces++
			return
		}
	}
	r.total++
	if len(r.list) < maxReports {
		r.list = append(r.list, &undelivered{path, off, bytes, 1, fate, why})
	}
}

// MoreErrors stands, behind errors that are reported one by one, for as many more that only the log tells.
type MoreErrors int

func (n MoreErrors) Error() string { return fmt.Sprintf("and %d more: see the log", int(n)) }

// take gives the errors that were not taken yet, joined; nil where there are none.
func (r *reports) take() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.list
	if more := r.total - len(list); more > 0 {
		list = append(list, MoreErrors(more))
	}
	r.list, r.total = nil, 0
	return errors.Join(list...)
}

// lines gives the texts of the errors for the status, and leaves them to be taken.
func (r *reports) lines() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, err := range r.list {
		out = append(out, err.Error())
	}
	return out
}
