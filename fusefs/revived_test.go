package fusefs_test

import (
	"os"
	"testing"
)

// With -o async the removal has been answered when the server refuses it, as there is more in the directory than was known.
func TestADirectoryThatCouldNotBeRemovedIsUsedAgainThoughItIsStillOpen(t *testing.T) {
	m := mount(t, func(s *setup) { s.Cache.Async = true })
	check(t, os.Mkdir(m.server("d"), 0o755))
	d, err := os.Open(m.path("d")) // as a program has that works in it
	check(t, err)
	defer d.Close()
	names, err := d.Readdirnames(-1)
	check(t, err)
	if len(names) != 0 {
		t.Fatalf("it lists %v", names)
	}
	put(t, m.server("d/file"), "content")
	check(t, os.Remove(m.path("d")))
	eventually(t, "the removal has been refused", func() bool {
		_, err := os.Lstat(m.path("d"))
		return err == nil
	})
	has(t, m.path("d/file"), "content")
	put(t, m.path("d/new"), "new")
}
