package cache

import (
	"encoding/binary"
	"syscall"
	"testing"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// To the kernel the root would be a file, and every question about the mount an input/output error.
func TestARootWhoseTypeTheServerDoesNotTellIsRefused(t *testing.T) {
	for what, a := range map[string]struct{ flags, mode uint32 }{
		"no mode": {session.HasTimes, 0}, "permission bits alone": {session.HasMode | session.HasTimes, 0o755},
	} {
		t.Run(what, func(t *testing.T) {
			c, err := overReplies(t, func(p sftptest.Packet) sftptest.Action {
				if p.Request == nil || p.Request.Name != "STAT" {
					return sftptest.Pass()
				}
				body := binary.BigEndian.AppendUint32(nil, a.flags)
				if a.flags&session.HasMode != 0 {
					body = binary.BigEndian.AppendUint32(body, a.mode)
				}
				return sftptest.ReplaceBody(append(body, make([]byte, 8)...))
			})
			if err == nil {
				_ = c.Close()
			}
			wantErrno(t, err, syscall.EOPNOTSUPP)
		})
	}
}
