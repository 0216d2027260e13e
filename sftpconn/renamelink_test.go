package sftpconn

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// followingServer is one that follows links in a rename and tells all targets as absolute ones, as ProFTPD. No rename may meet a link.
func followingServer(t *testing.T) (*sftptest.Server, *Conn) {
	t.Helper()
	tap := sftptest.NewTap()
	srv := sftptest.New(t, sftptest.WithTap(tap))
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		switch {
		case p.Name == "VERSION":
			return sftptest.ReplaceBody(greetingWith("versions", "posix-rename@openssh.com"))
		case p.Name == "NAME" && p.Request.Name == "READLINK":
			target, err := os.Readlink(p.Request.Text)
			if err != nil {
				t.Error(err)
			}
			return sftptest.ReplaceBody(names(filepath.Join(filepath.Dir(p.Request.Text), target)))
		}
		return sftptest.Pass()
	})
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if !strings.Contains(strings.ToLower(p.Name), "rename") {
			return sftptest.Pass()
		}
		for _, name := range []string{"link", "new", "sub/new"} {
			path := filepath.Join(srv.Dir(), name)
			if _, err := os.Readlink(path); err == nil && strings.Contains(string(p.Body), path) {
				t.Errorf("%s was sent for a link", p.Name)
				return sftptest.Answer(session.StatusFailure, "")
			}
		}
		return sftptest.Pass()
	})
	return srv, connect(t, srv)
}

func succeeds(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestALinkIsRenamedAndNotItsTargetWhereTheServerFollowsLinks(t *testing.T) {
	for _, to := range []string{"new", "sub/new"} {
		for _, over := range []string{"nothing", "a file", "a link"} {
			t.Run(to+" over "+over, func(t *testing.T) {
				srv, c := followingServer(t)
				target, other := file(t, srv, "target", []byte("content")), file(t, srv, "other", []byte("other"))
				link, renamed := filepath.Join(srv.Dir(), "link"), filepath.Join(srv.Dir(), to)
				succeeds(t, os.Mkdir(filepath.Join(srv.Dir(), "sub"), 0o755))
				succeeds(t, os.Symlink("target", link))
				switch over {
				case "a file":
					succeeds(t, os.WriteFile(renamed, []byte("old"), 0o644))
				case "a link":
					succeeds(t, os.Symlink(other, renamed))
				}
				succeeds(t, c.Rename(limited(t), link, renamed, false))
				want, err := filepath.Rel(filepath.Dir(renamed), target)
				succeeds(t, err)
				if got, err := os.Readlink(renamed); got != want {
					t.Errorf("leads to %q, %v", got, err)
				}
				if _, err := os.Lstat(link); !os.IsNotExist(err) {
					t.Errorf("the old name: %v", err)
				}
				for path, want := range map[string]string{target: "content", other: "other"} {
					if got, err := os.ReadFile(path); string(got) != want {
						t.Errorf("%s holds %q, %v", path, got, err)
					}
				}
			})
		}
	}
}

func TestAFileReplacesALinkAndNotItsTargetWhereTheServerFollowsLinks(t *testing.T) {
	srv, c := followingServer(t)
	target, old := file(t, srv, "target", []byte("content")), file(t, srv, "old", []byte("new"))
	renamed := filepath.Join(srv.Dir(), "new")
	succeeds(t, os.Symlink("target", renamed))
	if err := c.Rename(limited(t), old, renamed, true); status(err) != session.StatusFileAlreadyExists {
		t.Errorf("not to replace anything: %v", err)
	}
	succeeds(t, c.Rename(limited(t), old, renamed, false))
	if got, err := os.ReadFile(target); string(got) != "content" {
		t.Errorf("the target holds %q, %v", got, err)
	}
	if got, err := os.ReadFile(renamed); string(got) != "new" {
		t.Errorf("the new name holds %q, %v", got, err)
	}
	if info, err := os.Lstat(renamed); err != nil || !info.Mode().IsRegular() {
		t.Errorf("the new name is %v, %v", info, err)
	}
}

func TestARenameOfWhatIsNotThereCostsNoLinkWhereTheServerFollowsLinks(t *testing.T) {
	srv, c := followingServer(t)
	link := filepath.Join(srv.Dir(), "new")
	succeeds(t, os.Symlink("target", link))
	if err := c.Rename(limited(t), filepath.Join(srv.Dir(), "gone"), link, false); status(err) != session.StatusNoSuchFile {
		t.Errorf("%v", err)
	}
	if got, err := os.Readlink(link); got != "target" {
		t.Errorf("the link leads to %q, %v", got, err)
	}
}
