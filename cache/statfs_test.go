package cache

import (
	"syscall"
	"testing"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// pkg/sftp's server of files in memory, for example, looks for their names on its own disk.
func TestADiskOfWhichTheServerCannotTellIsThatOfTheRoot(t *testing.T) {
	for _, try := range []struct {
		what    string
		code    uint32
		refused int // how many questions are
		errno   syscall.Errno
	}{
		{"of the directory", session.StatusNoSuchFile, 1, 0},
		{"of any", session.StatusNoSuchFile, 2, syscall.EOPNOTSUPP},
		{"of any, for no reason", session.StatusFailure, 2, syscall.EOPNOTSUPP},
		{"as it is forbidden", session.StatusPermissionDenied, 2, syscall.EACCES},
	} {
		t.Run(try.what, func(t *testing.T) {
			r := newRig(t, nil)
			r.put("d/f", "content")
			d := r.mustFind("d").Node
			asked := 0
			r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
				if p.Name != "statvfs@openssh.com" {
					return sftptest.Pass()
				}
				if asked++; asked <= try.refused {
					return sftptest.Answer(try.code, "no")
				}
				return sftptest.Pass()
			})
			v, err := r.Statfs(ctxOf(t), d)
			if try.errno != 0 {
				wantErrno(t, err, try.errno)
				return
			}
			if err != nil || v.Blocks == 0 {
				t.Errorf("%+v, %v", v, err)
			}
		})
	}
}
