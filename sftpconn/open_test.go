package sftpconn

import (
	"os"
	"path/filepath"
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
