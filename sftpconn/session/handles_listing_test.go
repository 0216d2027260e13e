package session

import (
	"errors"
	"io"
	"slices"

	"pgregory.net/rapid"
)

// listing is the listing of one directory, as sftpconn.list does it.
type listing struct {
	m       *tableModel
	t       *rapid.T
	dir     string
	open    *modelCall
	handle  string
	tries   int
	flight  []*modelCall
	early   []*modelCall
	got     []string
	ended   bool
	stopped bool
	done    bool
}

func (l *listing) begin() {
	if l.tries++; l.tries > 30 {
		l.t.Fatalf("%q was opened %d times", l.dir, l.tries)
	}
	l.flight, l.early = nil, nil
	l.open = l.m.start(&modelCall{Call: Call{want: answerHandle, lists: true}, what: "OPENDIR", name: l.dir, then: l.opened})
	for range 2 {
		if l.open.foreseen != "" {
			l.early = append(l.early, l.read(l.open.foreseen, l.open.foreseen))
		}
	}
}

func (l *listing) read(handle, peeks string) *modelCall {
	return l.m.start(&modelCall{Call: Call{want: answerEntries, peeks: peeks}, what: "READDIR", handle: handle, then: func(error) { l.goOn() }})
}

func (l *listing) opened(err error) {
	switch {
	case err != nil:
		l.done = true
	case l.stopped:
		l.m.close(l.open.text, true)
		l.done = true
	case l.open.asForeseen:
		l.handle, l.flight = l.open.text, l.early
	case l.open.untouched:
		l.handle, l.early = l.open.text, nil
	default:
		l.m.close(l.open.text, true)
		l.begin()
	}
	l.goOn()
}

// goOn takes in what has come, in the order in which it was asked for.
func (l *listing) goOn() {
	if l.handle == "" || l.done {
		return
	}
	for {
		for !l.ended && !l.stopped && len(l.flight) < 3 {
			l.flight = append(l.flight, l.read(l.handle, ""))
		}
		if l.stopped || len(l.flight) == 0 {
			l.finish()
			return
		}
		c := l.flight[0]
		if !c.ended {
			return
		}
		l.flight = l.flight[1:]
		if slices.Contains(l.early, c) && (errors.Is(c.err, errRefused) || len(l.got) == 0 && c.err == io.EOF) {
			continue
		}
		switch {
		case c.err == io.EOF:
			l.ended = true
		case c.err != nil:
			l.t.Fatalf("%q cannot be read: %v", l.dir, c.err)
		}
		l.got = append(l.got, c.names...)
	}
}

func (l *listing) finish() {
	l.done = true
	l.m.close(l.handle, l.stopped)
	if l.stopped {
		return
	}
	if want := namesIn(l.dir); !l.m.anyOrder && !slices.Equal(l.got, want) || l.foreign(want) {
		l.t.Fatalf("%q was listed as %q", l.dir, l.got)
	}
}

// foreign says whether a name is not one of the directory's, or has come twice.
func (l *listing) foreign(want []string) bool {
	seen := map[string]bool{}
	for _, name := range l.got {
		if seen[name] || !slices.Contains(want, name) {
			return true
		}
		seen[name] = true
	}
	return false
}

// stop is the end of whoever wanted the listing.
func (l *listing) stop() {
	l.stopped = true
	if l.handle == "" && slices.Contains(l.m.unsent, l.open) {
		for _, c := range append([]*modelCall{l.open}, l.early...) {
			l.m.abandon(c)
		}
		l.done = true
	}
	l.goOn()
}
