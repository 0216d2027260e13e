package sftpconn

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
)

// hangs has the line cut at the first request of this name for path, and the server not answer the second, until the tap
// releases it.
func hangs(srv *sftptest.Server, tap *sftptest.Tap, name, path string) {
	var asked atomic.Int32
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name != name || p.Text != path {
			return sftptest.Pass()
		}
		switch asked.Add(1) {
		case 1:
			go srv.Cut()
			return sftptest.Drop()
		case 2:
			return sftptest.Hold()
		}
		return sftptest.Pass()
	})
}

// readsAgain reads an open file of one byte, which is found again first.
func readsAgain(ctx context.Context, f *File) error {
	_, err := f.ReadAt(ctx, make([]byte, 1), 0)
	return err
}

func TestAnOpenFileIsFoundAgainWhileTheServerHangsAtAChangeElsewhere(t *testing.T) {
	for what, row := range map[string]struct {
		request string
		path    func(dir, file string) string
		do      func(c *Conn, path string) error
	}{
		"directory": {
			"MKDIR", func(dir, _ string) string { return filepath.Join(dir, "d") },
			func(c *Conn, path string) error { return second(c.Mkdir(context.Background(), path, 0o755)) },
		},
		"name that only begins the same": {
			"MKDIR", func(_, file string) string { return file + "x" },
			func(c *Conn, path string) error { return second(c.Mkdir(context.Background(), path, 0o755)) },
		},
		"opening that changes nothing": {
			"OPEN", func(_, file string) string { return file },
			func(c *Conn, path string) error {
				f, _, err := c.Open(context.Background(), OpenRequest{Path: at(path), Pflags: rd})
				if err == nil {
					f.Close()
				}
				return err
			},
		},
	} {
		t.Run(what, func(t *testing.T) {
			tap, srv, c := tapped(t)
			path := file(t, srv, "f", []byte("x"))
			f := openFile(t, c, path, rd)
			there := row.path(srv.Dir(), path)
			hangs(srv, tap, row.request, there)
			done := make(chan error, 1)
			go func() { done <- row.do(c, there) }()
			if !tap.WaitHeld(1, patience) {
				t.Fatal("the server does not hang")
			}
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			if err := readsAgain(ctx, f); err != nil {
				t.Errorf("another file: %v", err)
			}
			tap.Release()
			<-done // whatever came of it: the tap lets what was sent behind it overtake it
		})
	}
}

// What has the old name while a rename is in doubt may be another file already.
func TestAnOpenFileIsNotLookedForWhileItsNameIsInDoubt(t *testing.T) {
	tap := sftptest.NewTap()
	srv, data, f := inData(t, tap, func(o *Options) { o.ReconnectTimeout = time.Second })
	c := f.c
	hangs(srv, tap, "posix-rename@openssh.com", data)
	done := make(chan error, 1)
	go func() { done <- c.Rename(Patient(context.Background()), data, data+"2", false) }()
	if !tap.WaitHeld(1, patience) {
		t.Fatal("the server does not hang")
	}
	looked := tap.Count("LSTAT")
	if err := readsAgain(Patient(limited(t)), f); !errors.Is(err, ErrUncertain) || errors.Is(err, ErrStale) {
		t.Errorf("while its directory is being renamed: %v", err)
	}
	if n := tap.Count("LSTAT"); n != looked {
		t.Error("it was looked for by its old name")
	}
	tap.Release()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := os.Rename(data+"2", data); err != nil { // the path that f is told
		t.Fatal(err)
	}
	if err := readsAgain(limited(t), f); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestAnOpeningBehindAStuckRequestIsNotWaitedFor(t *testing.T) {
	sooner(t, 200*time.Millisecond, time.Hour)
	tap, srv, c := tapped(t)
	f := openFile(t, c, file(t, srv, "f", []byte("x")), rd)
	path := fifo(t, srv)
	stuck := c.newest.Load()
	srv.Cut()
	eventually(t, "there is another connection", func() bool { return c.newest.Load() != stuck })
	stuck = c.newest.Load()
	ctx, cancel := context.WithCancel(limited(t))
	opened := make(chan error, 1)
	tap.Reset()
	go func() {
		_, _, err := c.Open(ctx, OpenRequest{Path: at(path), Pflags: rd})
		opened <- err
	}()
	eventually(t, "the server is at the opening", func() bool { return tap.Count("OPEN") == 1 && stuck.Stall().Opening })
	soon, stop := context.WithTimeout(context.Background(), 20*time.Second)
	defer stop()
	if err := readsAgain(soon, f); err != nil {
		t.Errorf("a file that is open: %v", err)
	}
	cancel()
	<-opened
}
