package fusefs_test

import (
	"os"
	"syscall"
	"testing"
)

// The kernel opens what it still takes to be there, and does not say that its program would have the file made.
func TestAFileThatWasRemovedOnTheServerIsMadeAnew(t *testing.T) {
	for what, flags := range map[string]int{
		"cut": os.O_WRONLY | os.O_CREATE | os.O_TRUNC, "appended to": os.O_WRONLY | os.O_CREATE | os.O_APPEND,
	} {
		t.Run(what, func(t *testing.T) {
			m := mount(t)
			put(t, m.server("file"), "content")
			has(t, m.path("file"), "content")
			check(t, os.Remove(m.server("file")))
			f, err := os.OpenFile(m.path("file"), flags, 0o644)
			check(t, err)
			_, err = f.WriteString("new")
			check(t, err)
			check(t, f.Close())
			has(t, m.server("file"), "new")
		})
	}
}

func TestAFileThatWasRemovedOnTheServerIsNotThere(t *testing.T) {
	m := mount(t)
	for name, flags := range map[string]int{"read": os.O_RDONLY, "cut": os.O_WRONLY | os.O_TRUNC} {
		put(t, m.server(name), "content")
		has(t, m.path(name), "content")
		check(t, os.Remove(m.server(name)))
		_, err := os.OpenFile(m.path(name), flags, 0)
		wantErrno(t, "open to be "+name, err, syscall.ENOENT)
	}
}
