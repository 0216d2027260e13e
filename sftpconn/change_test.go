package sftpconn

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// cutAt cuts the line once, at a request of this name, which is lost with it, or at its reply.
func cutAt(srv *sftptest.Server, tap *sftptest.Tap, name string, reply bool) {
	var once atomic.Bool
	cut := func(p sftptest.Packet) sftptest.Action {
		if p.Request != nil {
			p = *p.Request
		}
		if p.Name == name && once.CompareAndSwap(false, true) {
			go srv.Cut()
			return sftptest.Drop()
		}
		return sftptest.Pass()
	}
	if reply {
		tap.OnReply(cut)
	} else {
		tap.OnRequest(cut)
	}
}

func TestMkdirAfterALostLineLeavesADirectoryOfOthersAlone(t *testing.T) {
	tap, srv, c := tapped(t)
	path := filepath.Join(srv.Dir(), "private")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	cutAt(srv, tap, "MKDIR", false)
	a, err := c.Mkdir(limited(t), path, 0o777)
	if err != nil || a.Mode != modeDir|0o700 {
		t.Errorf("told as %o, %v", a.Mode, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("a directory that was private all the time is %v now, %v", info.Mode(), err)
	}
}

func TestMkdirThatWasAnsweredHasItsBitsAfterALostLine(t *testing.T) {
	for _, reply := range []string{"LSTAT", "SETSTAT"} {
		tap := sftptest.NewTap()
		srv := sftptest.New(t, sftptest.WithTap(tap), sftptest.Args("-u", "077"))
		c := connect(t, srv)
		path := filepath.Join(srv.Dir(), "d")
		done := make(chan error, 1)
		held := holdReply(t, c, tap, reply)
		go func() {
			_, err := c.Mkdir(limited(t), path, 0o755)
			done <- err
		}()
		held()
		srv.Cut()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("line lost at %s: %v, %v", reply, info.Mode(), err)
		}
	}
}

// A directory was made, and what it is like could not be learned.
func TestMkdirTellsAttributesOrAnError(t *testing.T) {
	why := errors.New("interrupted")
	t.Run("interrupted", func(t *testing.T) {
		tap := sftptest.NewTap()
		srv := sftptest.New(t, sftptest.WithTap(tap))
		c := connect(t, srv)
		ctx, cancel := context.WithCancelCause(limited(t))
		held := holdReply(t, c, tap, "LSTAT")
		done := make(chan error, 1)
		go func() {
			_, err := c.Mkdir(ctx, filepath.Join(srv.Dir(), "d"), 0o755)
			done <- err
		}()
		held()
		cancel(why)
		if err := <-done; !errors.Is(err, why) {
			t.Errorf("no attributes, and the error %v", err)
		}
	})
	t.Run("refused", func(t *testing.T) {
		tap := sftptest.NewTap()
		srv := sftptest.New(t, sftptest.WithTap(tap))
		c := connect(t, srv)
		tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
			if p.Name == "LSTAT" {
				return sftptest.Answer(session.StatusPermissionDenied, "no")
			}
			return sftptest.Pass()
		})
		if a, err := c.Mkdir(limited(t), filepath.Join(srv.Dir(), "d"), 0o755); status(err) != session.StatusPermissionDenied {
			t.Errorf("attributes %+v, and the error %v", a, err)
		}
	})
	t.Run("replaced", func(t *testing.T) {
		tap := sftptest.NewTap()
		srv := sftptest.New(t, sftptest.WithTap(tap))
		c := connect(t, srv)
		path := filepath.Join(srv.Dir(), "d")
		made := make(chan struct{}, 1)
		tap.OnReply(func(p sftptest.Packet) sftptest.Action {
			if p.Request != nil && p.Request.Name == "MKDIR" {
				made <- struct{}{}
			}
			return sftptest.Pass()
		})
		tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
			if p.Name == "LSTAT" {
				<-made
				if err := errors.Join(os.Remove(path), os.WriteFile(path, nil, 0o644)); err != nil {
					t.Error(err)
				}
			}
			return sftptest.Pass()
		})
		if a, err := c.Mkdir(limited(t), path, 0o755); err != nil || a.Mode&modeType != modeRegular {
			t.Errorf("attributes %+v, %v; want those of what has the name", a, err)
		}
	})
}

// AWS's service on S3, sshd's internal-sftp with -P setstat, and others let nobody set permission bits.
func TestMkdirSucceedsWhereTheServerSetsNoBits(t *testing.T) {
	var log bytes.Buffer
	tap := sftptest.NewTap()
	srv := sftptest.New(t, sftptest.WithTap(tap), sftptest.Args("-u", "077"))
	c := connect(t, srv, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "SETSTAT" {
			return sftptest.Answer(session.StatusOpUnsupported, "no")
		}
		return sftptest.Pass()
	})
	for _, name := range []string{"a", "b"} {
		if a, err := c.Mkdir(limited(t), filepath.Join(srv.Dir(), name), 0o755); err != nil || a.Mode != modeDir|0o700 {
			t.Errorf("told as %o, %v; it was made, with the mode 0700", a.Mode, err)
		}
	}
	c.Close()
	if n := strings.Count(log.String(), "could not be set"); n != 1 {
		t.Errorf("%d lines in the log:\n%s", n, log.String())
	}
}

func TestRefusedBitsOfNewFilesAreLoggedOnce(t *testing.T) {
	var log bytes.Buffer
	tap := sftptest.NewTap()
	srv := sftptest.New(t, sftptest.WithTap(tap), sftptest.Args("-u", "077"))
	c := connect(t, srv, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "FSETSTAT" {
			return sftptest.Answer(session.StatusPermissionDenied, "no") // as on a disk with FAT
		}
		return sftptest.Pass()
	})
	for _, name := range []string{"a", "b"} {
		openFile(t, c, filepath.Join(srv.Dir(), name), wr|cre|session.OpenExcl).Close()
		settled(t, c)
	}
	c.Close()
	if n := strings.Count(log.String(), "could not be set"); n != 1 {
		t.Errorf("%d lines in the log:\n%s", n, log.String())
	}
}

func TestLinkAfterALostLineIsNotTakenForAFileThatLooksTheSame(t *testing.T) {
	tap, srv, c := tapped(t)
	// Two programs on two machines lock with a file each, in the same second.
	ours, lock := file(t, srv, "ours", []byte("1")), file(t, srv, "lock", []byte("2"))
	when := time.Unix(1_000_000_000, 0)
	for _, path := range []string{ours, lock} {
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	cutAt(srv, tap, "hardlink@openssh.com", false)
	if err := c.Link(limited(t), ours, lock); !refused(err) {
		t.Errorf("the name was taken all the time; link: %v", err)
	}
	sameAs(t, lock, []byte("2"))
	if a, err := c.Lstat(limited(t), ours); err != nil || int64(a.Atime) != when.Unix() || int64(a.Mtime) != when.Unix() {
		t.Errorf("the look has changed the times of the file: %+v, %v", a, err)
	}
}

func TestLinkThatCannotBeToldAfterALostLineIsUncertain(t *testing.T) {
	tap, srv, c := tapped(t)
	ours := file(t, srv, "ours", nil)
	cutAt(srv, tap, "hardlink@openssh.com", true)
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "SETSTAT" {
			return sftptest.Answer(session.StatusPermissionDenied, "no") // as for a file of somebody else
		}
		return sftptest.Pass()
	})
	if err := c.Link(limited(t), ours, filepath.Join(srv.Dir(), "link")); !errors.Is(err, ErrUncertain) {
		t.Error(err)
	}
}

// ProFTPD follows links also where it is asked not to.
func TestALinkIsMadeWhereTheServerTellsOfItsTarget(t *testing.T) {
	tap, srv, c := tapped(t)
	path := filepath.Join(srv.Dir(), "link")
	file(t, srv, "target", []byte("content"))
	target := session.Attr{Flags: session.HasMode | session.HasSize, Mode: modeRegular | 0o644, Size: 7}
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Name != "ATTRS" || p.Request.Name != "LSTAT" {
			return sftptest.Pass()
		}
		body := binary.BigEndian.AppendUint32(nil, target.Flags)
		body = binary.BigEndian.AppendUint64(body, target.Size)
		return sftptest.ReplaceBody(binary.BigEndian.AppendUint32(body, target.Mode))
	})
	a, err := c.Symlink(limited(t), "target", path)
	if err != nil || a.Mode != modeLink|0o777 || a.Size != 6 {
		t.Errorf("told as %o of %d bytes, %v", a.Mode, a.Size, err)
	}
}
