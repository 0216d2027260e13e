package session

import (
	"fmt"
	"io"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

var errRefused = error(&StatusError{Code: StatusFailure, Msg: "refused"})

// tableModel is a server with OpenSSH's table of handles, and a client that lists directories and reads files there as package
// sftpconn does. What is under way stands in three queues: unsent, at the server, and answered there.
type tableModel struct {
	h handles

	open []*opened // by number; nil for those that are free
	free []int     // the one that is given out next on top

	unsent, at, answered []*modelCall
	files                []string // handles of files that are open
	listings             []*listing
	dirs                 int
	// The server does and answers what is asked in any order. Then names may be missing, as where a READDIR with a handle that was
	// foreseen comes before the CLOSE of what had it: but none are of another directory.
	anyOrder bool
}

// opened is what a handle stands for.
type opened struct {
	name string
	left []string // names that no READDIR has brought yet
}

type modelCall struct {
	Call
	what   string // OPEN, OPENDIR, READ, READDIR or CLOSE
	name   string // of what is opened; "" is refused
	handle string
	names  []string
	then   func(err error)
}

func namesIn(dir string) []string {
	names := []string{"."}
	for i := range len(dir) * 2 {
		names = append(names, fmt.Sprint(dir, "/", i))
	}
	return names
}

func (m *tableModel) start(c *modelCall) *modelCall {
	m.h.begin(&c.Call)
	m.unsent = append(m.unsent, c)
	return c
}

// execute has the server do what was asked.
func (m *tableModel) execute(c *modelCall) {
	var o *opened
	for n := range m.open {
		if c.handle == number(uint32(n)) {
			o = m.open[n]
		}
	}
	c.err = nil
	switch {
	case c.what == "OPEN" || c.what == "OPENDIR":
		if c.name == "" {
			c.err = errRefused
			return
		}
		o := &opened{name: c.name}
		if c.what == "OPENDIR" {
			o.left = namesIn(c.name)
		}
		n := len(m.open)
		if last := len(m.free) - 1; last >= 0 {
			n, m.free = m.free[last], m.free[:last]
			m.open[n] = o
		} else {
			m.open = append(m.open, o)
		}
		c.text = number(uint32(n))
	case o == nil || (c.what == "READ") != (o.left == nil) && c.what != "CLOSE":
		c.err = errRefused
	case c.what == "CLOSE":
		n := slices.Index(m.open, o)
		m.open[n], m.free = nil, append(m.free, n)
	case c.what == "READ":
		c.names = []string{o.name}
	case len(o.left) == 0:
		c.err = io.EOF
	default:
		n := min(3, len(o.left))
		c.names, o.left = o.left[:n:n], o.left[n:]
	}
}

func (m *tableModel) close(handle string, unread bool) {
	m.start(&modelCall{Call: Call{want: answerStatus, closes: handle, unread: unread}, what: "CLOSE", handle: handle, then: func(error) {}})
}

// openFile opens a file, and reads it with the foreseen handle. It may be closed when both are answered.
func (m *tableModel) openFile(t *rapid.T, name string) {
	var open, read *modelCall
	then := func(error) {
		if !open.ended || open.err != nil || read != nil && !read.ended {
			return
		}
		m.files = append(m.files, open.text)
		if read != nil && open.asForeseen && read.err == nil && read.names[0] != name {
			t.Fatalf("what was read of %q is of %q", name, read.names[0])
		}
	}
	open = m.start(&modelCall{Call: Call{want: answerHandle}, what: "OPEN", name: name, then: then})
	if open.foreseen != "" {
		read = m.start(&modelCall{Call: Call{want: answerData}, what: "READ", handle: open.foreseen, then: then})
	}
}

func (m *tableModel) abandon(c *modelCall) {
	if i := slices.Index(m.unsent, c); i >= 0 {
		m.unsent = slices.Delete(m.unsent, i, i+1)
		c.ended, c.err = true, ErrAbandoned
		m.h.end(&c.Call, ErrAbandoned)
	}
}

// move takes one call on: out of the queue of those unsent, to the server, or to who waits for it.
func (m *tableModel) move(t *rapid.T) bool {
	var some []string
	for what, queue := range map[string][]*modelCall{"send": m.unsent, "execute": m.at, "answer": m.answered} {
		if len(queue) > 0 {
			some = append(some, what)
		}
	}
	if len(some) == 0 {
		return false
	}
	slices.Sort(some)
	pick := func(queue *[]*modelCall) *modelCall {
		i := 0
		if m.anyOrder {
			i = rapid.IntRange(0, len(*queue)-1).Draw(t, "which")
		}
		c := (*queue)[i]
		*queue = slices.Delete(*queue, i, i+1)
		return c
	}
	switch rapid.SampledFrom(some).Draw(t, "move") {
	case "send":
		m.at, m.unsent = append(m.at, m.unsent[0]), m.unsent[1:]
	case "execute":
		c := pick(&m.at)
		m.execute(c)
		m.answered = append(m.answered, c)
	case "answer":
		c := pick(&m.answered)
		c.ended = true
		m.h.end(&c.Call, c.err)
		c.then(c.err)
	}
	return true
}

// act has the client begin or end something.
func (m *tableModel) act(t *rapid.T) {
	switch rapid.SampledFrom([]string{"list", "list", "refused", "file", "no file", "close", "stop"}).Draw(t, "act") {
	case "list", "refused":
		l := &listing{m: m, t: t}
		if m.dirs++; rapid.Bool().Draw(t, "there") {
			l.dir = fmt.Sprintf("%0*d", 1+m.dirs%9, m.dirs)
		}
		m.listings = append(m.listings, l)
		l.begin()
	case "file":
		m.dirs++
		m.openFile(t, fmt.Sprint("file", m.dirs))
	case "no file":
		m.openFile(t, "")
	case "close":
		if n := len(m.files); n > 0 {
			i := rapid.IntRange(0, n-1).Draw(t, "file")
			m.close(m.files[i], false)
			m.files = slices.Delete(m.files, i, i+1)
		}
	case "stop":
		if n := len(m.listings); n > 0 && !m.anyOrder { // else its last READDIRs may come when its handle is another's
			if l := m.listings[rapid.IntRange(0, n-1).Draw(t, "listing")]; !l.done {
				l.stop()
			}
		}
	}
}

func TestListingsAreWholeAndGiveTheirHandlesBackWhateverComes(t *testing.T) {
	for name, anyOrder := range map[string]bool{"in order": false, "in any order": true} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				m := &tableModel{h: handles{may: true}, anyOrder: anyOrder}
				for range rapid.IntRange(1, 60).Draw(t, "acts") {
					m.act(t)
					for range rapid.IntRange(0, 8).Draw(t, "moves") {
						m.move(t)
					}
				}
				for m.move(t) {
				}
				for _, l := range m.listings {
					if !l.done {
						t.Fatalf("the listing of %q has not ended", l.dir)
					}
				}
				for _, handle := range m.files {
					m.close(handle, false)
				}
				for m.move(t) {
				}
				for n, o := range m.open {
					if o != nil {
						t.Errorf("handle %d of %q is left", n, o.name)
					}
				}
			})
		})
	}
}
