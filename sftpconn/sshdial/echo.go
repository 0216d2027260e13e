package sshdial

import (
	"strings"
	"sync"
)

// echo shows what an external ssh says on standard error while the user is
// looking. The last line is held back: where ssh then fails, it is in the error.
type echo struct {
	q *questions

	mu      sync.Mutex // guards what follows
	partial string
	line    string
	stopped bool
}

func (e *echo) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopped {
		return len(p), nil
	}
	e.partial += string(p)
	for {
		line, rest, ok := strings.Cut(e.partial, "\n")
		if !ok {
			return len(p), nil
		}
		e.partial = rest
		if e.line != "" {
			e.show(e.line)
		}
		e.line = strings.TrimRight(line, "\r")
	}
}

func (e *echo) show(line string) {
	e.q.turn.Lock()
	defer e.q.turn.Unlock()
	if e.q.open() {
		e.q.prompt.Notice(printable(line))
	}
}

// stop ends the showing, after the line that was held back.
func (e *echo) stop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.stopped && e.line != "" {
		e.show(e.line)
	}
	e.stopped = true
}
