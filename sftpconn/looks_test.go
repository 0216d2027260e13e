package sftpconn

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sshmount/sftpconn/session"
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

// changeModes has the server tell other modes in its ATTRS: what f makes of them, given the request.
func changeModes(tap *sftptest.Tap, f func(request string, mode uint32) uint32) {
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Name != "ATTRS" {
			return sftptest.Pass()
		}
		at := 4
		flags := binary.BigEndian.Uint32(p.Body)
		for _, had := range []uint32{session.HasSize, session.HasOwner} {
			if flags&had != 0 {
				at += 8
			}
		}
		body := bytes.Clone(p.Body)
		binary.BigEndian.PutUint32(body[at:], f(p.Request.Name, binary.BigEndian.Uint32(body[at:])))
		return sftptest.ReplaceBody(body)
	})
}

func TestAServerThatTellsNoTypesHasRegularFiles(t *testing.T) {
	tap := sftptest.NewTap()
	srv := sftptest.New(t, sftptest.WithTap(tap), sftptest.Args("-u", "077"))
	c := connect(t, srv)
	changeModes(tap, func(_ string, mode uint32) uint32 { return mode & modePerm })
	path := file(t, srv, "f", []byte("old"))
	if b, _, err := c.ReadSmall(limited(t), path, 100); err != nil || string(b) != "old" {
		t.Errorf("read aside: %q, %v", b, err)
	}
	f := openFile(t, c, path, rd)
	if err := striped(f, bulkChannel(t, c), reading); err != nil {
		t.Errorf("opened on a further channel: %v", err)
	}
	srv.Cut()
	if err := readsAgain(limited(t), f); err != nil {
		t.Errorf("after the connection was lost: %v", err)
	}
	made := filepath.Join(srv.Dir(), "made")
	openFile(t, c, made, wr|cre|session.OpenExcl)
	eventually(t, "a file that was made has its bits", func() bool {
		info, err := os.Stat(made)
		return err == nil && info.Mode().Perm() == 0o644
	})
}

// OpenSSH's server on Windows tells no bits of the group by LSTAT, and does by FSTAT.
func TestAServerThatTellsOtherBitsOfANameThanOfAHandle(t *testing.T) {
	tap, srv, c := tapped(t)
	changeModes(tap, func(request string, mode uint32) uint32 {
		if request == "FSTAT" {
			return mode
		}
		return mode &^ 0o070
	})
	ch := bulkChannel(t, c)
	f := openFile(t, c, file(t, srv, "f", []byte("old")), rd)
	if err := striped(f, ch, reading); err != nil {
		t.Errorf("a file that stands still, on a further channel: %v", err)
	}

	g := openFile(t, c, filepath.Join(srv.Dir(), "g"), wr|cre)
	g.mu.Lock()
	h := g.stripe(ch, writing)
	g.mu.Unlock()
	for off := int64(0); !h.openDone(); off++ {
		if err := g.WriteAt(limited(t), []byte("x"), off); err != nil {
			t.Fatal(err)
		}
	}
	if h.err != nil {
		t.Errorf("a file that grows, on a further channel: %v", h.err)
	}

	tap.Reset()
	srv.Cut()
	if err := readsAgain(limited(t), f); err != nil {
		t.Errorf("after the connection was lost: %v", err)
	}
	if n := tap.Count("LSTAT"); n != 1 {
		t.Errorf("looked for %d times", n)
	}
}
