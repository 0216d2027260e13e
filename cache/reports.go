package cache

import (
	"errors"
	"fmt"
	"sync"
)

// maxReports bounds the errors that wait to be told.
const maxReports = 100

// reports are errors for the next Sync or Close: of changes answered before the server had, and of bytes that could not be delivered,
// also where a close or fsync has told its program.
type reports struct {
	mu    sync.Mutex // guards the rest; a leaf
	list  []error    // handed to nobody before it is taken: an *undelivered in it may still grow
	total int        // since the last take, those not kept included
}

func (c *Cache) report(op, path string, err error) {
	c.log.Error("failed after it was answered", "op", op, "path", path, "err", err)
	c.errs.add(op, path, err)
}

func (r *reports) add(op, path string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total++
	if len(r.list) < maxReports {
		r.list = append(r.list, named(op, path, err))
	}
}

// named is err with the operation and the path in front, where it does not say so itself.
func named(op, path string, err error) error {
	if told, ok := errors.AsType[*opError](err); ok && told.path == path {
		return err
	}
	return fmt.Errorf("%s %q: %w", op, path, err)
}

// undelivered is one report of all bytes of a file that could not be delivered and had the same fate: those of a large file come in
// hundreds of pieces, which must not crowd out the reports of other files.
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

// MoreErrors stands for as many errors that are told in the log alone, behind those that are told one by one.
type MoreErrors int

func (n MoreErrors) Error() string { return fmt.Sprintf("and %d more: see the log", int(n)) }

// take gives the errors not yet told, joined, and forgets them; nil where there are none.
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

func (r *reports) lines() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, err := range r.list {
		out = append(out, err.Error())
	}
	return out
}
