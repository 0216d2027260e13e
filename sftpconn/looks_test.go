package sftpconn

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
)

// openLink makes a link to path, in a directory of its own, and opens it as with follow_symlinks.
func openLink(t *testing.T, c *Conn, srv *sftptest.Server, path string, pflags uint32) *File {
	t.Helper()
	dir := filepath.Join(srv.Dir(), "links")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "l")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(dir, old, old); err != nil {
		t.Fatal(err)
	}
	f, _, err := c.Open(limited(t), OpenRequest{Path: at(link), Pflags: pflags, Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

// striped opens f on a channel for bulk data, and gives what came of it.
func striped(f *File, ch *channel, dir int) error {
	f.mu.Lock()
	h := f.stripe(ch, dir)
	f.mu.Unlock()
	<-h.done
	return h.err
}

func TestAFileOpenedThroughALinkOutlivesItsConnection(t *testing.T) {
	srv := sftptest.New(t)
	c := connect(t, srv)
	path := file(t, srv, "f", []byte("old"))
	f := openLink(t, c, srv, path, rd|wr)
	srv.Cut()
	if err := f.WriteAt(limited(t), []byte("NEW"), 0); err != nil {
		t.Fatal(err)
	}
	sameAs(t, path, []byte("NEW"))

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	srv.Cut()
	if err := f.WriteAt(limited(t), []byte("NEW"), 0); !errors.Is(err, ErrStale) {
		t.Errorf("the link leads to a directory: %v", err)
	}
}

func TestAFileOpenedThroughALinkIsSpread(t *testing.T) {
	srv := sftptest.New(t)
	c := connect(t, srv)
	ch := bulkChannel(t, c)
	if err := striped(openLink(t, c, srv, file(t, srv, "f", []byte("old")), rd), ch, reading); err != nil {
		t.Errorf("a file that stands still: %v", err)
	}
}

func TestAFreshFileBehindALinkIsNotToldByTheDirectoryOfTheLink(t *testing.T) {
	srv := sftptest.New(t)
	c := connect(t, srv)
	ch := bulkChannel(t, c)
	path := file(t, srv, "f", []byte("old"))
	now := time.Now()
	if err := os.Chtimes(path, now, now); err != nil {
		t.Fatal(err)
	}
	f := openLink(t, c, srv, path, rd)
	if err := striped(f, ch, reading); !errors.Is(err, errStripe) {
		t.Errorf("it may be another by now, and is taken for the same: %v", err)
	}
}
