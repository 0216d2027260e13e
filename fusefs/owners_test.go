package fusefs_test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root may give files to others")
	}
}

func TestTheOwnersOfAListingAreAskedForAtOnce(t *testing.T) {
	needRoot(t)
	m := mount(t, func(s *setup) { s.IDMap = "name" })
	const files = 40
	for i := range files {
		name := m.server(fmt.Sprintf("file%d", i))
		put(t, name, "")
		check(t, os.Chown(name, 3_999_900+i, 3_999_900+i))
	}
	m.tell("reset")
	entries, err := os.ReadDir(m.dir)
	check(t, err)
	for _, e := range entries {
		var i int
		if _, err := fmt.Sscanf(e.Name(), "file%d", &i); err != nil {
			t.Fatal(err)
		}
		if st := lstat(t, m.path(e.Name())); int(st.Uid) != 3_999_900+i || int(st.Gid) != 3_999_900+i {
			t.Errorf("%s belongs to %d:%d", e.Name(), st.Uid, st.Gid)
		}
	}
	counts, asked := m.tell("counts").Counts, 0
	for what, n := range counts {
		if strings.Contains(what, "users-groups-by-id") {
			asked += n
		}
	}
	if len(entries) != files || asked != 1 {
		t.Errorf("for the owners of %d files the server was asked %d times, want once: %v", len(entries), asked, counts)
	}
}

func TestTheWaitForTheNameOfAnOwnerCanBeInterrupted(t *testing.T) {
	needRoot(t)
	needPerl(t)
	m := mount(t, func(s *setup) { s.IDMap = "mute" })
	put(t, m.server("file"), "content")
	check(t, os.Chown(m.server("file"), 4242, 0))
	w := wait(t, m, m.path("file"))
	w.signal(syscall.SIGKILL)
	w.ends()
	m.awaitWaiting(0)
	// What was not learnt is asked for again by the next, and not kept as it was shown.
	w = wait(t, m, m.path("file"))
	w.waitsOn(300 * time.Millisecond)
	w.signal(syscall.SIGKILL)
	w.ends()
}
