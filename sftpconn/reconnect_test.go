package sftpconn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// A reply that is lost with the line leaves open whether the request was done.
func TestUnansweredChangesAreAskedAgainAndLookedAt(t *testing.T) {
	type setup struct {
		c   *Conn
		ctx context.Context
		in  func(string) string
	}
	for _, row := range []struct {
		request string
		before  func(s setup)
		work    func(s setup) error
		after   func(s setup) error
	}{
		{"MKDIR", nil, func(s setup) error { return second(s.c.Mkdir(s.ctx, s.in("d"), 0o755)) },
			func(s setup) error { _, err := os.Stat(s.in("d")); return err }},
		{"RMDIR", func(s setup) { os.Mkdir(s.in("d"), 0o755) }, func(s setup) error { return s.c.Rmdir(s.ctx, s.in("d")) }, nil},
		{"REMOVE", func(s setup) { os.WriteFile(s.in("f"), nil, 0o644) }, func(s setup) error { return s.c.Remove(s.ctx, s.in("f")) }, nil},
		{"RENAME", func(s setup) { os.WriteFile(s.in("f"), nil, 0o644) },
			func(s setup) error { return s.c.Rename(s.ctx, s.in("f"), s.in("g"), true) },
			func(s setup) error { _, err := os.Stat(s.in("g")); return err }},
		{"posix-rename@openssh.com", func(s setup) { os.WriteFile(s.in("f"), nil, 0o644); os.WriteFile(s.in("g"), []byte("x"), 0o644) },
			func(s setup) error { return s.c.Rename(s.ctx, s.in("f"), s.in("g"), false) },
			func(s setup) error { _, err := os.Stat(s.in("g")); return err }},
		{"SYMLINK", nil, func(s setup) error { return second(s.c.Symlink(s.ctx, "t", s.in("l"))) },
			func(s setup) error { _, err := os.Readlink(s.in("l")); return err }},
		{"hardlink@openssh.com", func(s setup) { os.WriteFile(s.in("f"), nil, 0o644) },
			func(s setup) error { return s.c.Link(s.ctx, s.in("f"), s.in("g")) },
			func(s setup) error { _, err := os.Stat(s.in("g")); return err }},
		{"SETSTAT", func(s setup) { os.WriteFile(s.in("f"), nil, 0o644) },
			func(s setup) error {
				return s.c.Setstat(s.ctx, s.in("f"), Attr{Flags: session.HasTimes, Mtime: 7}, false)
			},
			func(s setup) error {
				if info, err := os.Stat(s.in("f")); err != nil || info.ModTime().Unix() != 7 {
					return fmt.Errorf("%v, %v", info, err)
				}
				return nil
			}},
		{"OPEN", nil, func(s setup) error {
			_, _, err := s.c.Open(s.ctx, OpenRequest{Path: at(s.in("f")), Pflags: wr | cre | session.OpenExcl, Perm: 0o644})
			if errors.Is(err, ErrUncertain) {
				return nil
			}
			return fmt.Errorf("not uncertain: %v", err)
		}, nil},
	} {
		for _, done := range []bool{true, false} {
			t.Run(fmt.Sprint(row.request, " done ", done), func(t *testing.T) {
				tap := sftptest.NewTap()
				srv := sftptest.New(t, sftptest.WithTap(tap))
				s := setup{connect(t, srv), limited(t), func(n string) string { return filepath.Join(srv.Dir(), n) }}
				if row.before != nil {
					row.before(s)
				}
				var once atomic.Bool
				cut := func(p sftptest.Packet) sftptest.Action {
					name := p.Name
					if p.Request != nil {
						name = p.Request.Name
					}
					if name == row.request && once.CompareAndSwap(false, true) {
						go srv.Cut()
						return sftptest.Drop()
					}
					return sftptest.Pass()
				}
				if done {
					tap.OnReply(cut)
				} else {
					tap.OnRequest(cut)
				}
				err := row.work(s)
				if row.request == "OPEN" && !done {
					if err == nil || !strings.Contains(err.Error(), "not uncertain: <nil>") {
						t.Errorf("a creation that never arrived: %v", err)
					}
					return
				}
				if err != nil {
					t.Error(err)
				}
				if !once.Load() {
					t.Error("the line was never cut")
				}
				if row.after != nil {
					if err := row.after(s); err != nil {
						t.Error(err)
					}
				} else if names, _ := os.ReadDir(srv.Dir()); row.request != "OPEN" && len(names) != 0 {
					t.Errorf("left over: %v", names)
				}
			})
		}
	}
}

func TestARefusalIsNoSuccessWithoutALostLine(t *testing.T) {
	srv := sftptest.New(t)
	c := connect(t, srv)
	ctx := limited(t)
	file(t, srv, "f", nil)
	os.Symlink("t", filepath.Join(srv.Dir(), "l"))
	in := func(n string) string { return filepath.Join(srv.Dir(), n) }
	for what, err := range map[string]error{
		"remove":  c.Remove(ctx, in("absent")),
		"symlink": second(c.Symlink(ctx, "t", in("l"))),
		"link":    c.Link(ctx, in("f"), in("f")),
		"rename":  c.Rename(ctx, in("absent"), in("f"), false),
		"mkdir":   second(c.Mkdir(ctx, srv.Dir(), 0o755)),
	} {
		if !refused(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestAReopenedFileMustBeTheSame(t *testing.T) {
	for _, row := range []struct {
		what   string
		flags  uint32
		change func(path string) (now string)
		check  func(Attr) error
		stale  bool
	}{
		{"unchanged", rd, func(p string) string { return p }, nil, false},
		{"renamed", rd, func(p string) string { os.Rename(p, p+"2"); return p + "2" }, nil, false},
		{"removed", rd, func(p string) string { os.Remove(p); return p }, nil, true},
		{"removed by ourselves", rd, func(p string) string { os.Remove(p); return "" }, nil, true},
		{"a directory", rd, func(p string) string { os.Remove(p); os.Mkdir(p, 0o755); return p }, nil, true},
		{"a link", rd, func(p string) string { os.Rename(p, p+"2"); os.Symlink(p+"2", p); return p }, nil, true},
		{"refused by the check", rd, func(p string) string { return p }, func(Attr) error { return errors.New("changed") }, true},
		{"made by us", rd | wr | cre | session.OpenTrunc, func(p string) string { return p }, nil, false},
		{"appended to by us", rd | wr | cre | session.OpenAppend, func(p string) string { return p }, nil, false},
	} {
		t.Run(row.what, func(t *testing.T) {
			srv := sftptest.New(t)
			c := connect(t, srv)
			ctx := limited(t)
			path := file(t, srv, "f", []byte("0123456789"))
			file(t, srv, "beside", nil) // so that the directory of a file that is removed is not empty
			var now atomic.Value
			now.Store(path)
			f, _, err := c.Open(ctx, OpenRequest{Path: func() string { return now.Load().(string) }, Pflags: row.flags, Check: row.check})
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if row.flags&wr != 0 {
				if err := f.WriteAt(ctx, []byte("0123456789"), 0); err != nil {
					t.Fatal(err)
				}
			}
			now.Store(row.change(path))
			srv.Cut()
			b := make([]byte, 10)
			n, err := f.ReadAt(ctx, b, 0)
			if row.stale {
				if !errors.Is(err, ErrStale) {
					t.Errorf("read %d, %v", n, err)
				}
				if _, err := f.Stat(ctx); !errors.Is(err, ErrStale) {
					t.Errorf("stale only once: then %v", err)
				}
			} else if err != nil || string(b[:n]) != "0123456789" {
				t.Errorf("read %q, %v", b[:n], err)
			}
		})
	}
}

func TestASilentLineIsNoticedAndReplaced(t *testing.T) {
	for _, probe := range []bool{true, false} {
		t.Run(fmt.Sprint("probe ", probe), func(t *testing.T) {
			var options []sftptest.Option
			if !probe {
				options = append(options, sftptest.NoProbe())
			}
			srv := sftptest.New(t, options...)
			c := connect(t, srv, func(o *Options) { o.AliveInterval = 200 * time.Millisecond })
			path := file(t, srv, "f", []byte("x"))
			f := openFile(t, c, path, rd)
			srv.Freeze()
			done := make(chan error, 1)
			go func() {
				_, err := f.ReadAt(limited(t), make([]byte, 1), 0)
				done <- err
			}()
			eventually(t, "the silence is noticed", func() bool { return !c.Status().Connected })
			if s := c.Status(); !strings.Contains(s.LastError, "no byte") {
				t.Errorf("the reason is given as %q", s.LastError)
			}
			srv.Thaw()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAnIdleLineStays(t *testing.T) {
	srv := sftptest.New(t)
	c := connect(t, srv, func(o *Options) { o.AliveInterval = 20 * time.Millisecond })
	time.Sleep(500 * time.Millisecond) // long enough for it to be taken for dead
	if s := c.Status(); !s.Connected || s.Reconnects != 0 {
		t.Errorf("%+v", s)
	}
}

func TestEveryHandleIsGivenBack(t *testing.T) {
	tap, srv, c := tapped(t)
	ctx := limited(t)
	tap.SetDelay(10 * time.Millisecond)
	want := content(12, 3<<20)
	path := file(t, srv, "f", want)
	for i := range 10 {
		f := openFile(t, c, path, rd)
		if i%2 == 0 {
			if _, err := readAll(ctx, f, len(want), 16); err != nil {
				t.Fatal(err)
			}
		}
		f.Close()
		c.ReadSmall(ctx, path, 10)
		c.List(ctx, srv.Dir(), func([]Entry, bool) error { return io.EOF })
	}
	eventually(t, "as many handles are closed as opened", func() bool {
		return tap.Count("OPEN", "OPENDIR") == tap.Count("CLOSE")
	})
}

func TestCloseEndsEveryWait(t *testing.T) {
	srv := sftptest.New(t)
	c := connect(t, srv)
	path := file(t, srv, "f", []byte("x"))
	f := openFile(t, c, path, rd)
	srv.Freeze()
	errs := make(chan error, 3)
	go func() { _, err := c.Lstat(Patient(limited(t)), path); errs <- err }()
	go func() { _, err := f.ReadAt(Patient(limited(t)), make([]byte, 1), 0); errs <- err }()
	go func() { errs <- second(c.Mkdir(Patient(limited(t)), path+"d", 0o755)) }()
	eventually(t, "they wait", func() bool { return c.Status().InFlight == 3 })
	closed := make(chan struct{})
	go func() { c.Close(); close(closed) }()
	for range 3 {
		select {
		case err := <-errs:
			if !errors.Is(err, ErrClosed) {
				t.Errorf("%v", err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("a call outlives the connection")
		}
	}
	select {
	case <-closed:
	case <-time.After(20 * time.Second):
		t.Fatal("Close does not return")
	}
}
