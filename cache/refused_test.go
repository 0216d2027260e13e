package cache

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// What may not be listed may hold something, and most likely does where the server does not take it away.
func TestADirectoryThatMayNotBeListedIsNotCalledEmpty(t *testing.T) {
	r := newRig(t, nil)
	r.put("full/f", "x")
	r.put("other/f", "x")
	r.list(r.Root())
	r.refuse("OPENDIR")
	wantErrno(t, r.Rmdir(ctxOf(t), r.Root(), "full"), syscall.ENOTEMPTY)
	wantErrno(t, r.Rename(ctxOf(t), r.Root(), "other", r.Root(), "full", false), syscall.ENOTEMPTY)
}

// Without O_EXCL it is no error that there is something: the server had another reason.
func TestErrnoOfACreationThatMayFindAFile(t *testing.T) {
	create := func(r *rig, flags uint32) error {
		_, h, err := r.Create(ctxOf(r.t), r.Root(), "name", syscall.O_WRONLY|flags, 0o644)
		if err == nil {
			h.Release()
		}
		return err
	}
	t.Run("a directory", func(t *testing.T) {
		r := newRig(t, nil)
		r.list(r.Root())
		if err := os.Mkdir(filepath.Join(r.dir, "name"), 0o755); err != nil {
			t.Fatal(err)
		}
		wantErrno(t, create(r, 0), syscall.EISDIR)
		wantErrno(t, create(r, syscall.O_EXCL), syscall.EEXIST)
		if f := r.mustFind("name"); !f.Node.isDir() {
			t.Errorf("it is found as %+v", f.Attr)
		}
	})
	for what, tc := range map[string]struct {
		flags uint32
		want  syscall.Errno
	}{
		"a file":             {0, syscall.EIO},
		"a file and O_TRUNC": {syscall.O_TRUNC, syscall.EIO},
		"a file and O_EXCL":  {syscall.O_EXCL, syscall.EEXIST},
	} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t, nil)
			r.list(r.Root())
			r.put("name", "theirs")
			r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
				if p.Name == "OPEN" {
					return sftptest.Answer(session.StatusFailure, "Failure")
				}
				return sftptest.Pass()
			})
			wantErrno(t, create(r, tc.flags), tc.want)
		})
	}
}

// OpenSSH looks at each name before it lists it, and leaves out those that it may not look at.
func TestADirectoryThatMayNotBeSearchedIsNotCalledEmpty(t *testing.T) {
	for _, async := range []bool{false, true} {
		t.Run(fmt.Sprint("async ", async), func(t *testing.T) {
			r := newRig(t, func(o *Options) { o.Async = async })
			r.put("d/f", "x")
			if err := os.Chmod(filepath.Join(r.dir, "d"), 0o600); err != nil {
				t.Fatal(err)
			}
			d := r.mustFind("d").Node
			r.tap.OnReply(func(p sftptest.Packet) sftptest.Action {
				if p.Request != nil && p.Request.Name == "READDIR" {
					return sftptest.Answer(session.StatusEOF, "End of file")
				}
				return sftptest.Pass()
			})
			r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
				if p.Name == "LSTAT" && p.Text == filepath.Join(r.dir, "d/f") {
					return sftptest.Answer(session.StatusPermissionDenied, "Permission denied")
				}
				return sftptest.Pass()
			})
			if all := r.list(d); len(all) > 0 {
				t.Fatalf("listed: %v", all)
			}
			_, err := r.find("d/f")
			wantErrno(t, err, syscall.EACCES)
			wantErrno(t, r.Rmdir(ctxOf(t), r.Root(), "d"), syscall.ENOTEMPTY)

			r.tap.OnReply(nil)
			r.tap.OnRequest(nil)
			mode := uint32(0o700)
			if _, _, err := r.Setattr(ctxOf(t), d, nil, SetAttr{Mode: &mode}); err != nil {
				t.Fatal(err)
			}
			if got := names(r.list(d)); !got["f"] {
				t.Errorf("when it may be searched again it holds %v", got)
			}
			r.mustFind("d/f")
		})
	}
}
