package fusefs_test

import (
	"os"
	"runtime"
	"syscall"
	"testing"
)

// A script writes one file after the other, from one thread.
func TestFilesThatWereRemovedOnTheServerAreMadeAnewOneAfterTheOther(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	m := mount(t)
	names := []string{"a", "b", "c", "d"}
	for _, name := range names {
		put(t, m.server(name), "content")
	}
	for _, name := range names {
		has(t, m.path(name), "content")
	}
	for _, name := range names {
		check(t, os.Remove(m.server(name)))
	}
	for _, name := range names[:2] {
		put(t, m.path(name), "new")
	}
	for _, name := range names[:2] {
		has(t, m.server(name), "new")
	}
	_, err := os.ReadFile(m.path("c"))
	wantErrno(t, "open what is gone", err, syscall.ENOENT)
	put(t, m.path("d"), "new")
	has(t, m.server("d"), "new")
}
