package sftpconn

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// dirServer is a plainServer without b, which is a directory with a file in it, as a is, or without.
func dirServer(t *testing.T, empty bool) (srv *sftptest.Server, tap *sftptest.Tap, a, b string) {
	srv, tap, a, b = plainServer(t)
	for _, dir := range []string{a, b} {
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(dir, 0o750); err != nil {
			t.Fatal(err)
		}
		if dir == a || !empty {
			file(t, srv, filepath.Base(dir)+"/of "+filepath.Base(dir), nil)
		}
	}
	return srv, tap, a, b
}

// isDir fails the test where the server's directory has other names in it than one, or than none for "".
func isDir(t *testing.T, dir, name string) {
	t.Helper()
	names, err := os.ReadDir(dir)
	if err != nil || len(names) > 1 || len(names) == 1 != (name != "") || name != "" && names[0].Name() != name {
		t.Errorf("%s has %v, %v; want %q", dir, names, err, name)
	}
}

func TestADirectoryReplacesAnEmptyOneInStepsAlsoWhenTheLineBreaks(t *testing.T) {
	const requests = 5 // RENAME, which is refused, LSTAT of both names, RMDIR, RENAME
	for n := range requests + 1 {
		for _, done := range []bool{false, true} {
			t.Run(fmt.Sprintf("request %d, done %v", n+1, done), func(t *testing.T) {
				srv, tap, a, b := dirServer(t, true)
				c := connect(t, srv)
				var seen atomic.Int32
				cut := func(p sftptest.Packet) sftptest.Action {
					if p.Name != "INIT" && int(seen.Add(1)) == n+1 {
						go srv.Cut()
						return sftptest.Drop()
					}
					return sftptest.Pass()
				}
				if done {
					onReply(tap, cut)
				} else {
					tap.OnRequest(cut)
				}
				if err := c.Rename(limited(t), a, b, false); err != nil {
					t.Error(err)
				}
				if _, err := os.Lstat(a); !os.IsNotExist(err) {
					t.Errorf("the old name: %v", err)
				}
				isDir(t, b, "of a")
			})
		}
	}
}

// Go's os.Rename, for example.
func TestADirectoryReplacesAnEmptyOneWherePosixRenameRefusesThat(t *testing.T) {
	srv, tap, a, b := dirServer(t, true)
	tap.OnReply(nil)
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "posix-rename@openssh.com" {
			return sftptest.Answer(session.StatusFailure, "file exists")
		}
		return sftptest.Pass()
	})
	other := sftptest.New(t, sftptest.InDir(srv.Dir()), sftptest.WithTap(tap), sftptest.Args("-P", "fsync")) // no OpenSSH, by its extensions
	if err := connect(t, other).Rename(limited(t), a, b, false); err != nil {
		t.Fatal(err)
	}
	isDir(t, b, "of a")
}

func TestADirectoryThatIsNotEmptyIsNotReplaced(t *testing.T) {
	srv, _, a, b := dirServer(t, false)
	if err := connect(t, srv).Rename(limited(t), a, b, false); status(err) != session.StatusFailure {
		t.Errorf("told as %v", err)
	}
	isDir(t, a, "of a")
	isDir(t, b, "of b")
}

func TestAnEmptyDirectoryIsMadeAgainWhereNoneCanTakeItsPlace(t *testing.T) {
	srv, tap, a, b := dirServer(t, true)
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "RENAME" {
			return sftptest.Answer(session.StatusFailure, "Failure") // as for another file system
		}
		return sftptest.Pass()
	})
	if err := connect(t, srv).Rename(limited(t), a, b, false); status(err) != session.StatusFailure {
		t.Errorf("told as %v", err)
	}
	isDir(t, a, "of a")
	isDir(t, b, "")
	hasBits(t, b, 0o750)
}

func TestADirectoryThatAnotherHasMadeInThePlaceOfAnEmptyOneKeepsItsBits(t *testing.T) {
	srv, tap, a, b := dirServer(t, true)
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		switch p.Name {
		case "RENAME":
			return sftptest.Answer(session.StatusFailure, "Failure") // as for another file system
		case "MKDIR":
			if err := os.Mkdir(b, 0o700); err != nil {
				t.Error(err)
			}
		}
		return sftptest.Pass()
	})
	c := connect(t, srv)
	if err := c.Rename(limited(t), a, b, false); status(err) != session.StatusFailure {
		t.Errorf("told as %v", err)
	}
	if _, err := c.Lstat(limited(t), b); err != nil { // behind all that was sent
		t.Fatal(err)
	}
	hasBits(t, b, 0o700)
}
