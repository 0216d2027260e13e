package sftpconn

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

func TestANameIsAskedAboutWhenItsFileIsClosed(t *testing.T) {
	for name, ask := range map[string]func(ctx context.Context, c *Conn, dir string) error{
		"lstat": func(ctx context.Context, c *Conn, dir string) error {
			_, err := c.Lstat(ctx, filepath.Join(dir, "f"))
			return err
		},
		"rename": func(ctx context.Context, c *Conn, dir string) error {
			return c.Rename(ctx, filepath.Join(dir, "f"), filepath.Join(dir, "g"), false)
		},
		"rename over it": func(ctx context.Context, c *Conn, dir string) error {
			return c.Rename(ctx, filepath.Join(dir, "other"), filepath.Join(dir, "f"), false)
		},
		"open": func(ctx context.Context, c *Conn, dir string) error {
			f, _, err := c.Open(ctx, OpenRequest{Path: func() string { return filepath.Join(dir, "f") }, Pflags: rd})
			if err == nil {
				f.Close()
			}
			return err
		},
		"list": func(ctx context.Context, c *Conn, dir string) error {
			return c.List(ctx, dir, func([]Entry, bool) error { return nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			tap, srv, c := inAnyOrder(t)
			ctx := limited(t)
			file(t, srv, "other", nil)
			f := openFile(t, c, filepath.Join(srv.Dir(), "f"), wr|cre)
			if err := f.WriteAt(ctx, []byte("content"), 0); err != nil {
				t.Fatal(err)
			}
			f.Leaving(true)
			asked := make(chan error, 1)
			var closed atomic.Bool
			tap.OnReply(func(p sftptest.Packet) sftptest.Action {
				if p.Request != nil && p.Request.Name == "CLOSE" {
					closed.Store(true)
				}
				return sftptest.Pass()
			})
			tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
				switch {
				case p.Name == "CLOSE" && !closed.Load():
					return sftptest.Delay(30 * time.Millisecond)
				case !closed.Load():
					t.Errorf("%s was sent before the file was closed", p.Name)
				}
				return sftptest.Pass()
			})
			defer tap.OnRequest(nil)
			go func() { asked <- ask(ctx, c, srv.Dir()) }()
			time.Sleep(10 * time.Millisecond) // in which it would be asked
			f.Close()
			if err := <-asked; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAFileThatIsNotClosedAfterAllIsNotWaitedFor(t *testing.T) {
	_, srv, c := inAnyOrder(t)
	ctx := limited(t)
	path := filepath.Join(srv.Dir(), "f")
	f := openFile(t, c, path, wr|cre)
	if err := f.WriteAt(ctx, []byte("content"), 0); err != nil {
		t.Fatal(err)
	}
	f.Leaving(false)
	began := time.Now()
	if _, err := c.Lstat(ctx, path); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > leavingWill {
		t.Errorf("it took %v", took)
	}
}

func TestARefusalToCloseWhatWasWrittenIsTold(t *testing.T) {
	tap, srv, c := inAnyOrder(t)
	ctx := limited(t)
	path := filepath.Join(srv.Dir(), "f")
	var told atomic.Pointer[error]
	f, _, err := c.Open(ctx, OpenRequest{Path: func() string { return path }, Pflags: wr | cre, Lost: func(err error) { told.Store(&err) }})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.WriteAt(ctx, []byte("content"), 0); err != nil {
		t.Fatal(err)
	}
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "CLOSE" {
			return sftptest.Answer(session.StatusFailure, "quota exceeded")
		}
		return sftptest.Pass()
	})
	defer tap.OnRequest(nil)
	f.Close()
	if err := c.Closed(ctx); err != nil {
		t.Fatal(err)
	}
	if err := told.Load(); err == nil || !errors.Is(*err, ErrLost) {
		t.Errorf("told: %v", err)
	}
}
