package sftpconn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
)

// plainServer is one without extensions: its RENAME refuses to replace. Two files are there: a and b.
func plainServer(t *testing.T) (srv *sftptest.Server, tap *sftptest.Tap, a, b string) {
	tap = sftptest.NewTap()
	srv = sftptest.New(t, sftptest.WithTap(tap))
	onReply(tap, nil)
	return srv, tap, file(t, srv, "a", []byte("a")), file(t, srv, "b", []byte("b"))
}

// onReply has f look at the replies of a server without extensions.
func onReply(tap *sftptest.Tap, f func(sftptest.Packet) sftptest.Action) {
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		switch {
		case p.Name == "VERSION":
			return sftptest.ReplaceBody([]byte{0, 0, 0, 3})
		case f == nil:
			return sftptest.Pass()
		}
		return f(p)
	})
}

// tree tells the files of the server, with their content.
func tree(t *testing.T, srv *sftptest.Server) string {
	t.Helper()
	names, err := os.ReadDir(srv.Dir())
	if err != nil {
		t.Fatal(err)
	}
	var s string
	for _, n := range names {
		b, _ := os.ReadFile(srv.Dir() + "/" + n.Name())
		s += fmt.Sprintf("%s=%s ", n.Name(), b)
	}
	return s
}

const (
	renameDone   = "b=a "
	renameUndone = "a=a b=b "
	// renameRequests is what a rename that replaces in steps takes: RENAME, which is refused, LSTAT of both names,
	// RENAME, RENAME, REMOVE.
	renameRequests = 6
)

func TestRenameThatReplacesInStepsSurvivesTheLine(t *testing.T) {
	for n := range renameRequests {
		for _, done := range []bool{false, true} {
			t.Run(fmt.Sprintf("request %d, done %v", n+1, done), func(t *testing.T) {
				srv, tap, a, b := plainServer(t)
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
				if got := tree(t, srv); got != renameDone {
					t.Errorf("there is %q, want %q", got, renameDone)
				}
				if srv.Dials() != 2 {
					t.Errorf("%d dials: the line was not cut once", srv.Dials())
				}
			})
		}
	}
}

func TestRenameThatReplacesInStepsIsBroughtToAnEndWhenInterrupted(t *testing.T) {
	why := errors.New("interrupted")
	for n := range renameRequests {
		t.Run(fmt.Sprintf("request %d", n+1), func(t *testing.T) {
			srv, tap, a, b := plainServer(t)
			c := connect(t, srv)
			ctx, cancel := context.WithCancelCause(limited(t))
			var seen atomic.Int32
			onReply(tap, func(sftptest.Packet) sftptest.Action {
				if int(seen.Add(1)) == n+1 {
					return sftptest.Hold()
				}
				return sftptest.Pass()
			})
			done := make(chan error, 1)
			go func() { done <- c.Rename(ctx, a, b, false) }()
			if !tap.WaitHeld(1, 10*time.Second) {
				t.Fatal("no reply was held")
			}
			cancel(why)
			select {
			case err := <-done:
				if !errors.Is(err, why) {
					t.Error(err)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("it cannot be interrupted")
			}
			tap.Release()
			want := renameUndone
			if n >= renameRequests-2 {
				want = renameDone
			}
			eventually(t, want, func() bool { return tree(t, srv) == want })
		})
	}
}

func TestRenameThatReplacesInStepsTellsWhereTheFileIsWhenItCannotBeFinished(t *testing.T) {
	srv, tap, a, b := plainServer(t)
	var log logText
	c := connect(t, srv, func(o *Options) { o.NoReconnect, o.Logger = true, slog.New(slog.NewTextHandler(&log, nil)) })
	var seen atomic.Int32
	onReply(tap, func(p sftptest.Packet) sftptest.Action {
		if p.Request != nil && p.Request.Name == "RENAME" && seen.Add(1) == 2 {
			go srv.Cut()
			return sftptest.Drop()
		}
		return sftptest.Pass()
	})
	if err := c.Rename(limited(t), a, b, false); !errors.Is(err, ErrUnreachable) {
		t.Error(err)
	}
	_ = c.Close()
	names, err := os.ReadDir(srv.Dir())
	if err != nil || len(names) != 2 {
		t.Fatal(names, err)
	}
	if aside := names[0].Name(); !log.has(aside) {
		t.Errorf("the log says nothing of %s: %s", aside, &log)
	}
}

// logText keeps a log.
type logText struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logText) has(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Contains(l.b.Bytes(), []byte(s))
}

// OpenSSH's RENAME makes a link and takes the old name away: a server that is killed in between leaves both.
func TestARenameThatTheServerHasHalfDoneIsBroughtToItsEnd(t *testing.T) {
	for what, theirs := range map[string]bool{"both names of the file": false, "another file": true} {
		t.Run(what, func(t *testing.T) {
			tap := sftptest.NewTap()
			srv := sftptest.New(t, sftptest.WithTap(tap))
			c := connect(t, srv)
			from, to := file(t, srv, "from", []byte("content")), filepath.Join(srv.Dir(), "to")
			var once sync.Once
			tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
				act := sftptest.Pass()
				if p.Name == "RENAME" {
					once.Do(func() {
						err := os.Link(from, to)
						if theirs {
							os.Remove(to)
							err = os.WriteFile(to, []byte("CONTENT"), 0o644)
						}
						if err != nil {
							t.Error(err)
						}
						act = sftptest.Drop()
						go srv.Cut()
					})
				}
				return act
			})
			err := c.Rename(limited(t), from, to, true)
			_, left := os.Lstat(from)
			if theirs {
				if err == nil || left != nil {
					t.Errorf("renamed onto another file: %v; the old name: %v", err, left)
				}
				sameAs(t, to, []byte("CONTENT"))
				return
			}
			if err != nil || !os.IsNotExist(left) {
				t.Errorf("%v; the old name: %v", err, left)
			}
			sameAs(t, to, []byte("content"))
		})
	}
}
