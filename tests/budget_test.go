package tests

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sshmount/sftpconn/sftptest"
	"sshmount/tests/line"
)

func TestBudgetOfNamesAndListings(t *testing.T) {
	t.Parallel()
	m := newCountedMount(t)
	for n := range 3 {
		m.makeFiles(fmt.Sprintf("known%d", n), 30, 10)
		m.makeFiles(fmt.Sprintf("fresh%d", n), 30, 10)
		m.makeFiles(fmt.Sprintf("small%d", n), 30, 10)
		m.makeFiles(fmt.Sprintf("big%d", n), 1000, 1)
	}
	list(t, m.point)

	m.costs("look-ups of names in a listed directory", 0,
		func(n int) { list(t, m.path(fmt.Sprintf("known%d", n))) },
		func(n int) {
			for i := range 30 {
				lstat(t, m.path(fmt.Sprintf("known%d/f%04d", n, i)))
			}
			if exists(m.path(fmt.Sprintf("known%d/absent", n))) {
				t.Error("there")
			}
		})
	m.costs("the first look-up of a name", 1, none,
		func(n int) { lstat(t, m.path(fmt.Sprintf("fresh%d/f0001", n))) })
	m.costs("the first look-up of an absent name", 1, none,
		func(n int) { exists(m.path(fmt.Sprintf("fresh%d/absent", n))) })
	m.costs("ls -l of a small directory", 1, none,
		func(n int) {
			if got := list(t, m.path(fmt.Sprintf("small%d", n))); got != 30 {
				t.Errorf("%d names, want 30", got)
			}
		})
	m.costs("ls -l of 1,000 names", 2+1000/100/2, none,
		func(n int) {
			if got := list(t, m.path(fmt.Sprintf("big%d", n))); got != 1000 {
				t.Errorf("%d names, want 1000", got)
			}
		})
	m.costs("what is cached", 0,
		func(n int) { list(t, m.path(fmt.Sprintf("big%d", n))) },
		func(n int) {
			list(t, m.path(fmt.Sprintf("big%d", n)))
			for range 100 {
				lstat(t, m.path(fmt.Sprintf("big%d/f0500", n)))
			}
		})
}

// A walk costs by its depth, not by the number of directories.
func TestBudgetOfAWalk(t *testing.T) {
	t.Parallel()
	m := newCountedMount(t)
	const across = 9
	for n := range 3 {
		for i := range across {
			for j := range across {
				m.makeFiles(fmt.Sprintf("tree%d/a%d/b%d", n, i, j), 2, 1)
			}
		}
	}
	m.costs(fmt.Sprintf("find over %d directories", 1+across+across*across), 20,
		func(int) { list(t, m.point) },
		func(n int) {
			out := run(t, "", "find", m.path(fmt.Sprintf("tree%d", n)), "-type", "f")
			if got := strings.Count(out, "\n"); got != across*across*2 {
				t.Errorf("find finds %d files, want %d", got, across*across*2)
			}
		})
}

func TestOneListingFetchesNoOther(t *testing.T) {
	t.Parallel()
	m := newCountedMount(t)
	m.makeFiles("single/x/y", 3, 1)
	m.makeFiles("single/z", 3, 1)
	m.tap.Reset()
	list(t, m.path("single"))
	m.settle()
	if n := m.tap.Count("OPENDIR"); n > 1 {
		t.Errorf("one ls opened %d directories:\n%s", n, strings.Join(m.tap.Log(), "\n"))
	}
}

func TestBudgetOfReading(t *testing.T) {
	t.Parallel()
	m := newCountedMount(t)
	const files = 60
	for n := range 3 {
		m.makeFiles(fmt.Sprintf("one%d", n), 3, 20_000)
		m.makeFiles(fmt.Sprintf("all%d", n), files, 5_000)
	}
	list(t, m.point)
	m.costs("open, read and close a cold small file", 2,
		func(n int) { list(t, m.path(fmt.Sprintf("one%d", n))) },
		func(n int) { wantContent(t, m.path(fmt.Sprintf("one%d/f0001", n)), string(pseudoRandom(1, 20_000))) })
	m.costs("read a file again", 1, // the look at whether it has changed
		func(n int) { read(t, m.path(fmt.Sprintf("one%d/f0001", n))) },
		func(n int) { read(t, m.path(fmt.Sprintf("one%d/f0001", n))) })
	m.costs(fmt.Sprintf("read %d small files of a directory", files), files/3,
		func(n int) { list(t, m.path(fmt.Sprintf("all%d", n))) },
		func(n int) {
			for i := range files {
				wantContent(t, m.path(fmt.Sprintf("all%d/f%04d", n, i)), string(pseudoRandom(uint64(i), 5_000)))
			}
		})
}

func TestBudgetOfChanges(t *testing.T) {
	t.Parallel()
	m := newCountedMount(t)
	must(t, os.Mkdir(m.root+"/d", 0o755))
	for i := range 3 {
		must(t, os.WriteFile(fmt.Sprintf("%s/d/old%d", m.root, i), pseudoRandom(1, 9000), 0o644))
	}
	list(t, m.point)
	list(t, m.path("d"))
	in := func(name string, n int) string { return m.path("d", fmt.Sprintf("%s%d", name, n)) }

	m.costs("create, write, close and stat a small file", 2, none, func(n int) {
		must(t, os.WriteFile(in("new", n), []byte("small"), 0o644))
		lstat(t, in("new", n))
	})
	m.costs("write to a file, close and stat it", 2, none, // open; write
		func(n int) {
			f, err := os.OpenFile(in("old", n), os.O_WRONLY|os.O_APPEND, 0)
			must(t, err)
			_, err = f.WriteString("small")
			must(t, err)
			must(t, f.Close())
			lstat(t, in("old", n))
		})
	m.costs("create, write, set times and close a small file", 2, none, func(n int) {
		f, err := os.OpenFile(in("timed", n), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		must(t, err)
		_, err = f.WriteString("small")
		must(t, err)
		when := []unix.Timespec{{Sec: 1_000_000_000}, {Sec: 1_000_000_000}}
		must(t, unix.UtimesNanoAt(int(f.Fd()), "", when, unix.AT_EMPTY_PATH))
		must(t, f.Close())
	})
	for n := range 3 {
		if exists(in("timed", n)) && lstat(t, fmt.Sprintf("%s/d/timed%d", m.root, n)).Mtim.Sec != 1_000_000_000 {
			t.Error("the times set before close are not the server's")
		}
	}
	m.costs("open with O_TRUNC", 1, none, func(n int) {
		f, err := os.OpenFile(in("old", n), os.O_WRONLY|os.O_TRUNC, 0)
		must(t, err)
		must(t, f.Close())
	})
	single := func(what string, f func(n int) error) {
		t.Helper()
		m.costs(what, 1, none, func(n int) { must(t, f(n)) })
	}
	single("mkdir", func(n int) error { return os.Mkdir(in("dir", n), 0o755) })
	single("a look-up in a directory of our own, and a mkdir", func(n int) error { return os.Mkdir(in("dir", 0)+fmt.Sprintf("/sub%d", n), 0o755) })
	must(t, os.WriteFile(in("file", 0), []byte("content"), 0o644))
	single("symlink", func(n int) error { return os.Symlink("target", in("link", n)) })
	single("link", func(n int) error { return os.Link(in("file", 0), in("hard", n)) })
	single("chmod", func(n int) error { return os.Chmod(in("file", 0), 0o640-os.FileMode(n)) })
	single("chown", func(n int) error { return os.Chown(in("file", 0), os.Getuid(), os.Getgid()) })
	single("utimes", func(n int) error {
		return os.Chtimes(in("file", 0), time.Unix(int64(n+1), 0), time.Unix(int64(n+1), 0))
	})
	single("truncate", func(n int) error { return os.Truncate(in("file", 0), int64(n+2)) })
	m.costs("rename", 1,
		func(n int) { must(t, os.Link(in("file", 0), in("linked", n))) },
		func(n int) { must(t, os.Rename(in("linked", n), in("renamed", n))) })
	m.costs("rename over a file", 1,
		func(n int) { must(t, os.WriteFile(in("moving", n), nil, 0o644)) },
		func(n int) { must(t, os.Rename(in("moving", n), in("file", 0))) })
	m.costs("unlink", 1,
		func(n int) { must(t, os.WriteFile(in("gone", n), nil, 0o644)) },
		func(n int) { must(t, os.Remove(in("gone", n))) })
	m.costs("rmdir", 1,
		func(n int) { must(t, os.Mkdir(in("gonedir", n), 0o755)) },
		func(n int) { must(t, unix.Rmdir(in("gonedir", n))) })

	m.costs("chdir into a directory in which a name was changed", 0,
		func(n int) {
			must(t, os.Mkdir(in("cd", n), 0o755))
			must(t, os.WriteFile(in("cd", n)+"/name", nil, 0o644))
		},
		func(n int) { must(t, unix.Access(in("cd", n), unix.X_OK)) }) // the question is chdir(2)'s, too

	// An editor's save: a new file beside the old one, its bytes made safe, its mode set, renamed over the old one, and looked at.
	m.costs("a save by rename", 2+1+1+1, // create and write, fsync, chmod, rename
		func(n int) { must(t, os.WriteFile(in("text", n), []byte("old text"), 0o640)) },
		func(n int) {
			f, err := os.OpenFile(in("text", n)+"~", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			must(t, err)
			_, err = f.WriteString("new text")
			must(t, err)
			must(t, f.Sync())
			must(t, f.Chmod(0o640))
			must(t, f.Close())
			must(t, os.Rename(in("text", n)+"~", in("text", n)))
			lstat(t, in("text", n))
		})
}

// With async nothing waits for the server: here it does not answer at all until everything has been done.
func TestBudgetOfAsyncIsNothing(t *testing.T) {
	t.Parallel()
	m := newCountedMount(t, "-o", "async")
	must(t, os.Mkdir(m.root+"/d", 0o755))
	must(t, os.WriteFile(m.root+"/d/old", []byte("old"), 0o644))
	must(t, os.WriteFile(m.root+"/d/gone", []byte("old"), 0o644))
	list(t, m.point)
	list(t, m.path("d"))
	m.settle()
	m.tap.OnReply(func(sftptest.Packet) sftptest.Action { return sftptest.Hold() })
	err := within(t, 60*time.Second, "changes of names with async, while the server does not answer", func() error {
		for i := range 20 {
			d := m.path(fmt.Sprintf("d/new%d", i))
			for _, err := range []error{
				os.Mkdir(d, 0o755),
				os.WriteFile(d+"/f", []byte("content"), 0o640),
				os.Chtimes(d+"/f", time.Unix(1e9, 0), time.Unix(1e9, 0)),
				os.Chmod(d+"/f", 0o600),
				os.Rename(d+"/f", d+"/g"),
				os.Symlink("g", d+"/link"),
			} {
				if err != nil {
					return err
				}
			}
		}
		return os.Remove(m.path("d/gone"))
	})
	m.tap.OnReply(nil)
	m.tap.Release()
	must(t, err)
	if out, err := sshmount(t, "sync", m.point); err != nil {
		t.Fatalf("sync: %v\n%s", err, out)
	}
	for i := range 20 {
		d := fmt.Sprintf("%s/d/new%d", m.root, i)
		wantContent(t, d+"/link", "content")
		if st := lstat(t, d+"/g"); st.Mode&0o777 != 0o600 || st.Mtim.Sec != 1e9 {
			t.Errorf("%s/g has mode %o, mtime %d", d, st.Mode&0o777, st.Mtim.Sec)
		}
	}
	if exists(m.root + "/d/gone") {
		t.Error("the removed file is there")
	}
}

// Channels are for what the window of one can't carry. A line that is full without them is only given longer queues.
func TestASlowLineHasNoMoreChannelsThanItCanFill(t *testing.T) {
	t.Parallel()
	onlySshmount(t)
	s := newServer(t)
	content := string(pseudoRandom(1, 4<<20))
	write(t, s.local("f"), content)
	_, config := s.over(t, line.Config{Delay: 25 * time.Millisecond, BytesPerSecond: 2_500_000})
	m := s.mountOver(t, config)
	wantContent(t, m.path("f"), content)
	if n := m.report(t).Line.Channels; n > 2 {
		t.Errorf("%d channels are open after a read", n)
	}
	write(t, m.path("g"), content)
	if n := m.report(t).Line.Channels; n > 2 {
		t.Errorf("%d channels are open after a write", n)
	}
}
