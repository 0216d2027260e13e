package sftpconn

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// inData makes a server with a directory "data", as a file system of its own would be, and an open file in it.
func inData(t *testing.T, tap *sftptest.Tap, change ...func(*Options)) (srv *sftptest.Server, data string, f *File) {
	srv = sftptest.New(t, sftptest.WithTap(tap))
	c := connect(t, srv, change...)
	data = filepath.Join(srv.Dir(), "data")
	if err := os.Mkdir(data, 0o755); err != nil {
		t.Fatal(err)
	}
	return srv, data, openFile(t, c, file(t, srv, "data/f", []byte("x")), rd|wr)
}

func TestAnOpenFileOutlivesAServerWhoseFileSystemComesAfterIt(t *testing.T) {
	tap := sftptest.NewTap()
	srv, data, f := inData(t, tap)
	if err := os.Rename(data, data+"-not-mounted"); err != nil {
		t.Fatal(err)
	}
	srv.Cut()
	done := make(chan error, 1)
	go func() { done <- f.WriteAt(limited(t), []byte("UNSAVED"), 0) }()
	eventually(t, "the directory was looked for twice", func() bool { return tap.Count("STAT") >= 2 })
	if err := os.Rename(data+"-not-mounted", data); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("a write while the file system was not mounted yet: %v", err)
	}
	sameAs(t, filepath.Join(data, "f"), []byte("UNSAVED"))
}

func TestAnOpenFileOutlivesARefusalThatPasses(t *testing.T) {
	for _, request := range []string{"LSTAT", "OPEN"} {
		t.Run(request, func(t *testing.T) {
			tap := sftptest.NewTap()
			srv, _, f := inData(t, tap)
			var refusals atomic.Int32
			tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
				if p.Name == request && refusals.Add(1) <= 2 {
					return sftptest.Answer(session.StatusPermissionDenied, "no ticket yet")
				}
				return sftptest.Pass()
			})
			srv.Cut()
			if err := f.WriteAt(limited(t), []byte("y"), 0); err != nil {
				t.Error(err)
			}
			if n := refusals.Load(); n != 3 {
				t.Errorf("asked %d times, refused twice", n)
			}
		})
	}
}

func TestAServerThatIsNotReadyIsNotWaitedForWithoutEnd(t *testing.T) {
	short := func(o *Options) { o.ReconnectTimeout = 300 * time.Millisecond }
	t.Run("directory gone", func(t *testing.T) {
		srv, data, f := inData(t, sftptest.NewTap(), short)
		if err := os.RemoveAll(data); err != nil {
			t.Fatal(err)
		}
		srv.Cut()
		if err := f.WriteAt(Patient(limited(t)), []byte("y"), 0); !errors.Is(err, ErrStale) {
			t.Error(err)
		}
	})
	t.Run("access denied", func(t *testing.T) {
		tap := sftptest.NewTap()
		srv, _, f := inData(t, tap, short)
		tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
			if p.Name == "LSTAT" {
				return sftptest.Answer(session.StatusPermissionDenied, "no")
			}
			return sftptest.Pass()
		})
		srv.Cut()
		err := f.WriteAt(Patient(limited(t)), []byte("y"), 0)
		if status(err) != session.StatusPermissionDenied || errors.Is(err, ErrStale) {
			t.Errorf("while access is denied: %v", err)
		}
		tap.OnRequest(nil)
		if err := f.WriteAt(limited(t), []byte("y"), 0); err != nil {
			t.Errorf("when access is granted again: %v", err)
		}
	})
}

// The file system comes between the look for the file and the one for its directory.
func TestAnOpenFileOutlivesAFileSystemThatComesWhileItIsLookedFor(t *testing.T) {
	tap := sftptest.NewTap()
	srv, data, f := inData(t, tap)
	if err := os.Rename(data, data+"-not-mounted"); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "STAT" {
			once.Do(func() {
				if err := os.Rename(data+"-not-mounted", data); err != nil {
					t.Error(err)
				}
			})
		}
		return sftptest.Pass()
	})
	srv.Cut()
	if err := f.WriteAt(limited(t), []byte("UNSAVED"), 0); err != nil {
		t.Error(err)
	}
	sameAs(t, filepath.Join(data, "f"), []byte("UNSAVED"))
}

// While a file is opened anew another of this mount's changes may give its name to another file. That one is not it.
func TestAReopeningIsNotFooledByWhatGotTheNameMeanwhile(t *testing.T) {
	tap, srv, c := tapped(t)
	first, second := file(t, srv, "a", []byte("old")), filepath.Join(srv.Dir(), "d")
	var name atomic.Pointer[string]
	name.Store(&first)
	f, _, err := c.Open(limited(t), OpenRequest{Path: func() string { return *name.Load() }, Pflags: rd | wr})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.WriteAt(limited(t), []byte("OLD"), 0); err != nil { // so it is known again by its name alone
		t.Fatal(err)
	}
	var once sync.Once
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "LSTAT" {
			once.Do(func() {
				if err := os.Rename(first, second); err != nil {
					t.Error(err)
				}
				file(t, srv, "a", []byte("new"))
				name.Store(&second)
			})
		}
		return sftptest.Pass()
	})
	srv.Cut()
	if err := f.WriteAt(limited(t), []byte("o"), 0); err != nil {
		t.Fatal(err)
	}
	sameAs(t, first, []byte("new"))
	sameAs(t, second, []byte("oLD"))
}

func TestAFileWithoutANameIsToldOfWithoutEmptyQuotes(t *testing.T) {
	srv := sftptest.New(t)
	c := connect(t, srv)
	path := file(t, srv, "f", []byte("x"))
	var gone atomic.Bool
	f, _, err := c.Open(limited(t), OpenRequest{Pflags: rd | wr, Path: func() string {
		if gone.Load() {
			return ""
		}
		return path
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	gone.Store(true)
	srv.Cut()
	err = f.WriteAt(limited(t), []byte("y"), 0)
	if !errors.Is(err, ErrStale) || strings.Contains(err.Error(), `""`) || !strings.Contains(err.Error(), "no name") {
		t.Errorf("the error is: %v", err)
	}
}
