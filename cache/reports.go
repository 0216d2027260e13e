package cache

import (
	"errors"
	"fmt"
	"sync"
)

// maxReports bounds the errors that wait to be told.
const maxReports = 100

// reports are errors that no program was told when it could have been: of changes answered before the server
// had, and of bytes that could not be delivered.
type reports struct {
	mu    sync.Mutex // guards the rest
	list  []error
	total int // since the last take, those not kept included
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
		var told *opError
		if !errors.As(err, &told) || told.path != path {
			err = fmt.Errorf("%s %q: %w", op, path, err)
		}
		r.list = append(r.list, err)
	}
}

// take gives the errors not yet told, joined, and forgets them; nil where there are none.
func (r *reports) take() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.list
	if more := r.total - len(list); more > 0 {
		list = append(list, fmt.Errorf("and %d more: see the log", more))
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
