package cache

import (
	"encoding/binary"
	"log/slog"
	"syscall"
	"testing"

	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// To the kernel the root would be a file, and every question about the mount an input/output error.
func TestARootWhoseTypeTheServerDoesNotTellIsRefused(t *testing.T) {
	for what, a := range map[string]struct{ flags, mode uint32 }{
		"no mode": {session.HasTimes, 0}, "permission bits alone": {session.HasMode | session.HasTimes, 0o755},
	} {
		t.Run(what, func(t *testing.T) {
			tap := sftptest.NewTap()
			srv := sftptest.New(t, sftptest.WithTap(tap))
			conn, err := sftpconn.New(t.Context(), sftpconn.Options{Dial: srv.Dial, Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			tap.OnReply(func(p sftptest.Packet) sftptest.Action {
				if p.Request == nil || p.Request.Name != "STAT" {
					return sftptest.Pass()
				}
				body := binary.BigEndian.AppendUint32(nil, a.flags)
				if a.flags&session.HasMode != 0 {
					body = binary.BigEndian.AppendUint32(body, a.mode)
				}
				return sftptest.ReplaceBody(append(body, make([]byte, 8)...))
			})
			c, err := New(t.Context(), Options{Conn: conn, Root: srv.Dir(), RescueDir: t.TempDir()})
			if err == nil {
				_ = c.Close()
			}
			wantErrno(t, err, syscall.EOPNOTSUPP)
		})
	}
}
