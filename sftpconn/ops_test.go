package sftpconn

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

func TestEveryQuestionIsAnswered(t *testing.T) {
	srv := sftptest.New(t)
	c := connect(t, srv)
	ctx := limited(t)
	p := file(t, srv, "file", []byte("content"))
	link := filepath.Join(srv.Dir(), "link")
	if err := os.Symlink("file", link); err != nil {
		t.Fatal(err)
	}
	if a, err := c.Lstat(ctx, link); err != nil || a.Mode&modeType != modeLink {
		t.Errorf("Lstat of a link: %+v, %v", a, err)
	}
	if a, err := c.Stat(ctx, link); err != nil || a.Size != 7 {
		t.Errorf("Stat of a link: %+v, %v", a, err)
	}
	if s, err := c.Realpath(ctx, srv.Dir()+"/./"); err != nil || s != srv.Dir() {
		t.Errorf("Realpath: %q, %v", s, err)
	}
	if c.Has("expand-path@openssh.com") {
		if s, err := c.Expand(ctx, "~/x"); err != nil || !strings.HasSuffix(s, "/x") || s[0] != '/' {
			t.Errorf("Expand: %q, %v", s, err)
		}
	}
	if v, err := c.Statvfs(ctx, p); err != nil || v.Blocks == 0 {
		t.Errorf("Statvfs: %+v, %v", v, err)
	}
	if users, groups, err := c.UserGroupNames(ctx, []uint32{0}, []uint32{0}); err != nil || users[0] != "root" || groups[0] != "root" {
		t.Errorf("UserGroupNames: %q %q, %v", users, groups, err)
	}
	_, err := c.Lstat(ctx, p+"-absent")
	if !isAbsent(err) || !strings.Contains(err.Error(), p+"-absent") {
		t.Errorf("Lstat of an absent name: %v", err)
	}
	targets, errs := c.Readlinks(ctx, []string{link, p, link})
	if targets[0] != "file" || targets[2] != "file" || errs[0] != nil || errs[1] == nil {
		t.Errorf("Readlinks: %q, %v", targets, errs)
	}
}

func TestEveryChangeOfNamesIsMade(t *testing.T) {
	srv := sftptest.New(t, sftptest.Args("-u", "027"))
	c := connect(t, srv)
	ctx := limited(t)
	in := func(name string) string { return filepath.Join(srv.Dir(), name) }
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	must("mkdir", second(c.Mkdir(ctx, in("d"), 0o777)))
	must("a question behind it", func() error { _, err := c.Lstat(ctx, in("d")); return err }())
	if info, err := os.Stat(in("d")); err != nil || info.Mode().Perm() != 0o777 {
		t.Errorf("the directory has %v, %v in spite of the server's umask", info, err)
	}
	if _, err := c.Mkdir(ctx, in("d"), 0o700); !refused(err) {
		t.Errorf("mkdir of what is there: %v", err)
	}
	if info, err := os.Stat(in("d")); err != nil || info.Mode().Perm() != 0o777 {
		t.Errorf("a refused mkdir changed what was there to %v, %v", info.Mode(), err)
	}
	a, b := file(t, srv, "a", []byte("a")), file(t, srv, "b", []byte("b"))
	if err := c.Rename(ctx, a, b, true); !refused(err) {
		t.Errorf("a rename that must not replace: %v", err)
	}
	must("rename", c.Rename(ctx, a, b, false))
	sameAs(t, b, []byte("a"))
	must("link", c.Link(ctx, b, in("hard")))
	sameAs(t, in("hard"), []byte("a"))
	must("symlink", second(c.Symlink(ctx, "b", in("soft"))))
	if s, _ := os.Readlink(in("soft")); s != "b" {
		t.Errorf("the link leads to %q", s)
	}
	must("setstat", c.Setstat(ctx, b, Attr{Flags: session.HasMode | session.HasTimes, Mode: 0o600, Atime: 5, Mtime: 6}, false))
	if info, err := os.Stat(b); err != nil || info.Mode().Perm() != 0o600 || info.ModTime().Unix() != 6 {
		t.Errorf("after setstat: %v, %v", info, err)
	}
	must("setstat of a link", c.Setstat(ctx, in("soft"), Attr{Flags: session.HasTimes, Atime: 8, Mtime: 9}, true))
	if info, err := os.Lstat(in("soft")); err != nil || info.ModTime().Unix() != 9 {
		t.Errorf("the link has the time %v, %v", info.ModTime(), err)
	}
	must("truncate", c.Setstat(ctx, b, Attr{Flags: session.HasSize, Size: 100}, true))
	if info, err := os.Stat(b); err != nil || info.Size() != 100 {
		t.Errorf("after truncate: %v, %v", info, err)
	}
	must("remove", c.Remove(ctx, in("soft")))
	must("rmdir", c.Rmdir(ctx, in("d")))
	if err := c.Rmdir(ctx, in("d")); !isAbsent(err) {
		t.Errorf("rmdir of what is absent: %v", err)
	}
}

func TestRenameReplacesWithoutPosixRename(t *testing.T) {
	tap := sftptest.NewTap()
	srv := sftptest.New(t, sftptest.WithTap(tap))
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "VERSION" {
			return sftptest.ReplaceBody([]byte{0, 0, 0, 3}) // no extensions
		}
		return sftptest.Pass()
	})
	c := connect(t, srv)
	a, b := file(t, srv, "a", []byte("a")), file(t, srv, "b", []byte("b"))
	if err := c.Rename(limited(t), a, b, false); err != nil {
		t.Fatal(err)
	}
	sameAs(t, b, []byte("a"))
	if names, _ := os.ReadDir(srv.Dir()); len(names) != 1 {
		t.Errorf("left over: %v", names)
	}
	for what, err := range map[string]error{
		"link":     c.Link(limited(t), b, a),
		"statvfs":  func() error { _, err := c.Statvfs(limited(t), b); return err }(),
		"expand":   func() error { _, err := c.Expand(limited(t), "~"); return err }(),
		"ids":      func() error { _, _, err := c.UserGroupNames(limited(t), nil, nil); return err }(),
		"lsetstat": func() error { os.Symlink("b", a); return c.Setstat(limited(t), a, Attr{Flags: session.HasTimes}, true) }(),
	} {
		if !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s on a server without extensions: %v", what, err)
		}
	}
}

func TestListGivesEveryNameOnce(t *testing.T) {
	srv := sftptest.New(t)
	c := connect(t, srv)
	var want []string
	for i := range 1234 {
		name := fmt.Sprintf("name %04d\n\xff", i)
		want = append(want, name)
		file(t, srv, name, nil)
	}
	var got []string
	err := c.List(limited(t), srv.Dir(), func(names []Entry, restart bool) error {
		if restart {
			t.Error("restarted without a reason")
		}
		for _, e := range names {
			got = append(got, e.Name)
			if e.Attr.Mode&modeType != modeRegular {
				t.Errorf("%q has mode %o", e.Name, e.Attr.Mode)
			}
		}
		return nil
	})
	slices.Sort(got)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%d names, %v; want %d", len(got), err, len(want))
	}
	stop := errors.New("enough")
	if err := c.List(limited(t), srv.Dir(), func([]Entry, bool) error { return stop }); err != stop {
		t.Errorf("an error of yield comes back as %v", err)
	}
	if err := c.List(limited(t), srv.Dir()+"/absent", func([]Entry, bool) error { return nil }); !isAbsent(err) {
		t.Errorf("listing what is absent: %v", err)
	}
}

func TestContextEndsAWaitAndLeaksNothing(t *testing.T) {
	tap, srv, c := tapped(t)
	path := file(t, srv, "f", content(3, 1<<20))
	f := openFile(t, c, path, rd)
	why := errors.New("interrupted")
	held := func(name string, work func(ctx context.Context) error) {
		t.Helper()
		before := tap.Count(name)
		tap.OnReply(func(p sftptest.Packet) sftptest.Action {
			if p.Request != nil && p.Request.Name == name {
				return sftptest.Hold()
			}
			return sftptest.Pass()
		})
		ctx, cancel := context.WithCancelCause(context.Background())
		done := make(chan error, 1)
		go func() { done <- work(ctx) }()
		eventually(t, name+" is sent", func() bool { return tap.Count(name) > before })
		if !tap.WaitHeld(1, 10*time.Second) {
			t.Fatal("no reply was held")
		}
		cancel(why)
		select {
		case err := <-done:
			if !errors.Is(err, why) {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s goes on after its context", name)
		}
		tap.OnReply(nil)
		tap.Release()
	}
	buf := make([]byte, 4096)
	held("READ", func(ctx context.Context) error { _, err := f.ReadAt(ctx, buf, 0); return err })
	held("LSTAT", func(ctx context.Context) error { _, err := c.Lstat(ctx, path); return err })
	held("OPENDIR", func(ctx context.Context) error {
		return c.List(ctx, srv.Dir(), func([]Entry, bool) error { return nil })
	})
	held("OPEN", func(ctx context.Context) error {
		_, _, err := c.Open(ctx, OpenRequest{Path: at(path), Pflags: rd})
		return err
	})
	f.Close()
	eventually(t, "every handle is given back", func() bool {
		return tap.Count("OPEN", "OPENDIR") == tap.Count("CLOSE")
	})
	if buf[0] != 0 {
		t.Error("the buffer of a read that was given up was written to")
	}
}

func TestALinkThatTheServerOnlySaysItHasMadeIsNotBelieved(t *testing.T) {
	tap, srv, c := inAnyOrder(t)
	ctx := limited(t)
	path := file(t, srv, "f", nil)
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "hardlink@openssh.com" {
			return sftptest.Answer(session.StatusOK, "")
		}
		return sftptest.Pass()
	})
	defer tap.OnRequest(nil)
	if err := c.Link(ctx, path, filepath.Join(srv.Dir(), "g")); !errors.Is(err, ErrUnsupported) {
		t.Errorf("link: %v", err)
	}
	tap.OnRequest(nil)
	if err := c.Link(ctx, path, filepath.Join(srv.Dir(), "h")); err != nil {
		t.Error(err)
	}
}
