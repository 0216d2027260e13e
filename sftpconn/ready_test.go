package sftpconn

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// What is asked before the file system is mounted would be answered 'no such file', or be done in the directory below.
func TestNobodyIsServedBehindAReconnectBeforeTheRootIsThere(t *testing.T) {
	tap := sftptest.NewTap()
	srv := sftptest.New(t, sftptest.WithTap(tap))
	c := connect(t, srv)
	data := filepath.Join(srv.Dir(), "data")
	if err := os.Mkdir(data, 0o755); err != nil {
		t.Fatal(err)
	}
	c.KeepIn(data)
	if err := os.Rename(data, data+"-not-mounted"); err != nil {
		t.Fatal(err)
	}
	srv.Cut()
	done := make(chan error, 1)
	go func() {
		_, err := c.Mkdir(limited(t), filepath.Join(data, "new"), 0o755)
		done <- err
	}()
	eventually(t, "the root was looked for twice", func() bool { return tap.Count("STAT") >= 2 || len(done) > 0 })
	if err := os.Rename(data+"-not-mounted", data); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("a directory made while the file system was not mounted yet: %v", err)
	}
	if _, err := os.Stat(filepath.Join(data, "new")); err != nil {
		t.Error(err)
	}
}

func TestARootThatDoesNotComeIsNotWaitedForWithoutEnd(t *testing.T) {
	srv := sftptest.New(t)
	c := connect(t, srv, func(o *Options) { o.ReconnectTimeout = 300 * time.Millisecond })
	gone := filepath.Join(srv.Dir(), "gone")
	c.KeepIn(gone)
	srv.Cut()
	if _, err := c.Lstat(Patient(limited(t)), gone); status(err) != session.StatusNoSuchFile {
		t.Errorf("a look at the root: %v", err)
	}
}

// Something is given up at the end of a mount: it is looked for once more, and no longer.
func TestTheLastTryIsOverWhenTheRootIsNotThere(t *testing.T) {
	srv := sftptest.New(t)
	c := connect(t, srv, func(o *Options) { o.ReconnectTimeout = 20 * time.Second })
	c.KeepIn(filepath.Join(srv.Dir(), "gone"))
	srv.Cut()
	eventually(t, "the root is looked for", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.failures > 0
	})
	c.giveUp()
	begun := time.Now()
	c.LastTry(limited(t))
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

// The line may be lost once more while the root is waited for.
func TestALineThatIsLostWhileTheRootIsWaitedForIsReplaced(t *testing.T) {
	tap := sftptest.NewTap()
	srv := sftptest.New(t, sftptest.WithTap(tap))
	c := connect(t, srv)
	data := filepath.Join(srv.Dir(), "data")
	c.KeepIn(data)
	srv.Cut()
	eventually(t, "the root was looked for", func() bool { return tap.Count("STAT") >= 1 })
	srv.Cut()
	if err := os.Mkdir(data, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Lstat(limited(t), data); err != nil {
		t.Error(err)
	}
}
