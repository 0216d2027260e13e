package tests

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A file changed on the server is seen by the next open, whatever was cached.
func TestChangeOnTheServerIsSeenAtNextOpen(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	m := s.mount()
	file := s.local("f")
	long := string(pseudoRandom(1, 400_000))
	for i, content := range []string{"first", "second!", long, "short again", "", "and back"} {
		write(t, file, content)
		// Times have whole seconds, so each version gets one of its own, as it has in life.
		when := time.Unix(1_700_000_000+int64(i)*10, 0)
		must(t, os.Chtimes(file, when, when))
		wantContent(t, m.path("f"), content)
		wantContent(t, m.path("f"), content)
	}
	// Replaced by another file by rename, as editors and rsync do it.
	write(t, s.local("new"), "replaced")
	when := time.Unix(1_700_009_000, 0)
	must(t, os.Chtimes(s.local("new"), when, when))
	must(t, os.Rename(s.local("new"), file))
	wantContent(t, m.path("f"), "replaced")
	// An unchanged file of the same size with another time only.
	must(t, os.WriteFile(file, []byte("REPLACED"), 0o644))
	wantContent(t, m.path("f"), "REPLACED")
}

// Attributes and names are trusted for dcache_timeout and no longer.
func TestNamesAreFreshWithinTheirTime(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	must(t, os.Mkdir(s.local("d"), 0o755))
	write(t, s.local("d/old"), "x")
	m := s.mount("-o", "dcache_timeout=1,attr_timeout=1,entry_timeout=1,negative_timeout=1")
	look := func() string {
		names, _ := os.ReadDir(m.path("d"))
		var b strings.Builder
		for _, n := range names {
			fmt.Fprintf(&b, "%s ", n.Name())
		}
		st, err := os.Stat(m.path("d/old"))
		if err == nil {
			fmt.Fprintf(&b, "old=%d ", st.Size())
		}
		_, err = os.Stat(m.path("d/new"))
		fmt.Fprintf(&b, "new=%v", err == nil)
		return b.String()
	}
	if got := look(); got != "old old=1 new=false" {
		t.Fatalf("at first: %s", got)
	}
	write(t, s.local("d/old"), "longer")
	write(t, s.local("d/new"), "x")
	eventually(t, 20*time.Second, "the mount shows the change", func() (bool, string) {
		got := look()
		return got == "new old old=6 new=true", got
	})
	must(t, os.Remove(s.local("d/old")))
	eventually(t, 20*time.Second, "the mount shows the removal", func() (bool, string) {
		got := look()
		return got == "new new=true", got
	})
}

func TestWithoutCachesEverythingIsSeenAtOnce(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	must(t, os.Mkdir(s.local("d"), 0o755))
	m := s.mount("-o", "dir_cache=no,attr_timeout=0,entry_timeout=0,negative_timeout=0")
	for i := range 20 {
		name := fmt.Sprintf("d/n%d", i)
		if exists(m.path(name)) {
			t.Fatalf("%s is there before it is made", name)
		}
		write(t, s.local(name), strings.Repeat("x", i))
		if st, err := os.Stat(m.path(name)); err != nil || st.Size() != int64(i) {
			t.Fatalf("%s right after it was made: %v", name, err)
		}
		write(t, s.local(name), strings.Repeat("y", i+100))
		if st := lstat(t, m.path(name)); st.Size != int64(i+100) {
			t.Fatalf("%s shows size %d right after it grew to %d", name, st.Size, i+100)
		}
		must(t, os.Chmod(s.local(name), 0o600))
		if st := lstat(t, m.path(name)); st.Mode&0o777 != 0o600 {
			t.Fatalf("%s shows mode %o right after chmod", name, st.Mode)
		}
		entries, err := os.ReadDir(m.path("d"))
		must(t, err)
		if len(entries) != i+1 {
			t.Fatalf("the listing has %d names, want %d", len(entries), i+1)
		}
	}
	must(t, os.Remove(s.local("d/n0")))
	if exists(m.path("d/n0")) {
		t.Error("a removed file is still there")
	}
}

// What is done through the mount is known at once, under the default trust in what is cached.
func TestOwnChangesAreSeenAtOnce(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	m := s.mount()
	for i := range 10 {
		dir := m.path(fmt.Sprintf("d%d", i))
		if exists(dir) {
			t.Fatal("there before it is made")
		}
		must(t, os.Mkdir(dir, 0o755))
		if exists(dir + "/f") {
			t.Fatal("there before it is made")
		}
		write(t, dir+"/f", "x")
		entries, err := os.ReadDir(dir)
		must(t, err)
		if len(entries) != 1 {
			t.Fatalf("%d names, want 1", len(entries))
		}
		must(t, os.Chmod(dir+"/f", 0o600))
		must(t, os.Truncate(dir+"/f", 10))
		if st := lstat(t, dir+"/f"); st.Size != 10 || st.Mode&0o777 != 0o600 {
			t.Fatalf("size %d, mode %o", st.Size, st.Mode)
		}
		must(t, os.Rename(dir+"/f", dir+"/g"))
		if exists(dir+"/f") || !exists(dir+"/g") {
			t.Fatal("the rename is not seen")
		}
		entries, err = os.ReadDir(dir)
		must(t, err)
		if len(entries) != 1 || entries[0].Name() != "g" {
			t.Fatalf("after the rename the listing is %v", entries)
		}
		must(t, os.Remove(dir+"/g"))
		wantErrno(t, "open of a removed file", func() error { _, err := os.Open(dir + "/g"); return err }(), syscall.ENOENT)
		must(t, os.Remove(dir))
	}
}

// A time that was shown does not change by itself later.
func TestTimesShownStay(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	m := s.mount("-o", "dcache_timeout=1,attr_timeout=0,entry_timeout=0")
	must(t, os.WriteFile(m.path("f"), []byte("x"), 0o644))
	first := lstat(t, m.path("f"))
	deadline := time.Now().Add(3 * time.Second)
	for time.Now().Before(deadline) {
		now := lstat(t, m.path("f"))
		if now.Mtim != first.Mtim {
			t.Fatalf("the mtime was %d.%09d and is now %d.%09d", first.Mtim.Sec, first.Mtim.Nsec, now.Mtim.Sec, now.Mtim.Nsec)
		}
		time.Sleep(100 * time.Millisecond)
	}
	if on := lstat(t, s.local("f")); on.Mtim.Sec != first.Mtim.Sec {
		t.Errorf("the server says %d, the mount %d", on.Mtim.Sec, first.Mtim.Sec)
	}
}
