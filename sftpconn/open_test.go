package sftpconn

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// holdReply holds back the reply to the next request of this name. The function it
// returns waits until that is all that is still to be answered.
func holdReply(t *testing.T, c *Conn, tap *sftptest.Tap, name string) (wait func()) {
	t.Helper()
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Request != nil && p.Request.Name == name {
			return sftptest.Hold()
		}
		return sftptest.Pass()
	})
	return func() {
		t.Helper()
		if !tap.WaitHeld(1, 10*time.Second) {
			t.Fatalf("no reply to %s came", name)
		}
		eventually(t, "all else is answered", func() bool { return c.newest.Load().InFlight() == 1 })
		tap.OnReply(nil)
	}
}

func TestAnExclusiveCreationThatWasAnsweredSurvivesTheLine(t *testing.T) {
	tap := sftptest.NewTap()
	srv := sftptest.New(t, sftptest.WithTap(tap), sftptest.Args("-u", "077"))
	c := connect(t, srv)
	ctx := limited(t)
	path := filepath.Join(srv.Dir(), "lock")
	held := holdReply(t, c, tap, "LSTAT")
	type result struct {
		f   *File
		a   Attr
		err error
	}
	done := make(chan result, 1)
	go func() {
		f, a, err := c.Open(ctx, OpenRequest{Path: at(path), Pflags: wr | cre | session.OpenExcl, Perm: 0o644})
		done <- result{f, a, err}
	}()
	held()
	srv.Cut()
	r := <-done
	if r.err != nil {
		t.Fatalf("the server has said that the file was made; then: %v", r.err)
	}
	defer r.f.Close()
	if r.a.Mode != modeRegular|0o644 {
		t.Errorf("told as %o", r.a.Mode)
	}
	if err := r.f.WriteAt(ctx, []byte("x"), 0); err != nil {
		t.Error(err)
	}
	sameAs(t, path, []byte("x"))
	eventually(t, "the file has its bits", func() bool {
		info, err := os.Stat(path)
		return err == nil && info.Mode().Perm() == 0o644
	})
}

// Another client gives the name to a new file between the OPEN and the LSTAT of one flight.
func TestAttributesAreNeverNewerThanTheContent(t *testing.T) {
	type found struct {
		content []byte
		a       Attr
		err     error
	}
	through := func(pflags uint32) func(context.Context, *Conn, string) found {
		return func(ctx context.Context, c *Conn, path string) found {
			f, a, err := c.Open(ctx, OpenRequest{Path: at(path), Pflags: pflags, Perm: 0o644})
			if err != nil {
				return found{err: err}
			}
			defer f.Close()
			b := make([]byte, 10)
			n, err := f.ReadAt(ctx, b, 0)
			return found{b[:n], a, err}
		}
	}
	for _, row := range []struct {
		what string
		at   int // the request of the flight before which it happens
		read func(context.Context, *Conn, string) found
	}{
		{"open", 2, through(rd)},
		{"open that would make one", 2, through(rd | wr | cre)},
		{"open that would make one, later", 3, through(rd | wr | cre)},
		{"read of a small file", 2, func(ctx context.Context, c *Conn, path string) found {
			b, a, err := c.ReadSmall(ctx, path, 100)
			return found{b, a, err}
		}},
	} {
		t.Run(row.what, func(t *testing.T) {
			tap := sftptest.NewTap()
			srv := sftptest.New(t, sftptest.WithTap(tap))
			c := connect(t, srv)
			path := file(t, srv, "f", []byte("old"))
			next := file(t, srv, "next", []byte("newer"))
			answered := make(chan struct{}, 10)
			tap.OnReply(func(p sftptest.Packet) sftptest.Action {
				if p.Request != nil && (p.Request.Name == "LSTAT" || p.Request.Name == "OPEN") {
					answered <- struct{}{}
				}
				return sftptest.Pass()
			})
			n := 0
			tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
				if p.Name == "LSTAT" || p.Name == "OPEN" {
					if n++; n == row.at {
						for range n - 1 {
							<-answered
						}
						if err := os.Rename(next, path); err != nil {
							t.Error(err)
						}
					}
				}
				return sftptest.Pass()
			})
			got := row.read(limited(t), c, path)
			if _, err := os.Stat(next); got.err != nil || err == nil {
				t.Fatalf("%v; renamed: %v", got.err, err != nil)
			}
			if string(got.content) == "old" && got.a.Size != 3 {
				t.Errorf("the content is %q, and its size is told as %d: no later look will ever show that it is stale", got.content, got.a.Size)
			}
		})
	}
}

func TestAFileMadeAsTheLineBrokeHasItsBits(t *testing.T) {
	tap := sftptest.NewTap()
	srv := sftptest.New(t, sftptest.WithTap(tap), sftptest.Args("-u", "077"))
	c := connect(t, srv)
	path := filepath.Join(srv.Dir(), "f")
	held := holdReply(t, c, tap, "OPEN")
	type result struct {
		f   *File
		a   Attr
		err error
	}
	done := make(chan result, 1)
	go func() {
		f, a, err := c.Open(limited(t), OpenRequest{Path: at(path), Pflags: wr | cre, Perm: 0o666})
		done <- result{f, a, err}
	}()
	held()
	srv.Cut()
	r := <-done
	if r.err != nil {
		t.Fatal(r.err)
	}
	defer r.f.Close()
	if r.a.Mode != modeRegular|0o666 {
		t.Errorf("told as %o", r.a.Mode)
	}
	eventually(t, "the file has its bits", func() bool {
		info, err := os.Stat(path)
		return err == nil && info.Mode().Perm() == 0o666
	})
}

// The creation was answered, and the look behind it was not.
func TestAFileMadeBeforeTheLineBrokeHasItsBits(t *testing.T) {
	tap := sftptest.NewTap()
	srv := sftptest.New(t, sftptest.WithTap(tap), sftptest.Args("-u", "077"))
	c := connect(t, srv)
	path := filepath.Join(srv.Dir(), "f")
	var looks atomic.Int32
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Request != nil && p.Request.Name == "LSTAT" && looks.Add(1) == 2 {
			go func() {
				// No answer before this one is to be lost on its way: then that of the creation might be.
				for end := time.Now().Add(patience); c.newest.Load().InFlight() > 1 && time.Now().Before(end); {
					time.Sleep(time.Millisecond)
				}
				srv.Cut()
			}()
			return sftptest.Drop()
		}
		return sftptest.Pass()
	})
	f, a, err := c.Open(limited(t), OpenRequest{Path: at(path), Pflags: wr | cre, Perm: 0o666})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if a.Mode != modeRegular|0o666 || srv.Dials() != 2 {
		t.Errorf("told as %o after %d dials", a.Mode, srv.Dials())
	}
	settled(t, c)
	hasBits(t, path, 0o666)
}

// The file was there all the time, and its first OPEN never arrived.
func TestAFileThatWasThereKeepsItsBitsAfterALostLine(t *testing.T) {
	tap, srv, c := tapped(t)
	path := file(t, srv, "f", nil)
	cutAt(srv, tap, "OPEN", false)
	f, a, err := c.Open(limited(t), OpenRequest{Path: at(path), Pflags: wr | cre, Perm: 0o666})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Stat(limited(t)); err != nil { // behind the setting of the bits, where there was one
		t.Error(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 || a.Mode != modeRegular|0o644 {
		t.Errorf("%v, %v; told as %o", info.Mode(), err, a.Mode)
	}
}

// OPEN follows links: were the name given to one by a request of ours between the look and the OPEN, what is not meant would be opened.
func TestNothingComesBetweenTheLookAtANameAndItsOpening(t *testing.T) {
	tap, srv, c := tapped(t)
	path := file(t, srv, "f", nil)
	var last sftptest.Packet // the requests of a channel pass one at a time
	var apart atomic.Int32
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "OPEN" && (last.Name != "LSTAT" || last.Text != p.Text) {
			apart.Add(1)
		}
		last = p
		return sftptest.Pass()
	})
	stop := make(chan struct{})
	var others sync.WaitGroup
	for range 8 {
		others.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_, _ = c.Lstat(limited(t), srv.Dir())
				}
			}
		})
	}
	for range 2000 {
		openFile(t, c, path, rd).Close()
	}
	close(stop)
	others.Wait()
	if n := apart.Load(); n > 0 {
		t.Errorf("%d times of 2000 another request came between", n)
	}
}
