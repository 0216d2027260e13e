package cache

import (
	"encoding/binary"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"

	"sshmount/sftpconn"
	"sshmount/sftpconn/sftptest"
)

// overReplies makes a cache over a server whose replies are changed once the connection is made.
func overReplies(t *testing.T, change func(sftptest.Packet) sftptest.Action) (*Cache, error) {
	t.Helper()
	tap := sftptest.NewTap()
	srv := sftptest.New(t, sftptest.WithTap(tap))
	conn, err := sftpconn.New(t.Context(), sftpconn.Options{Dial: srv.Dial, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	tap.OnReply(change)
	return New(t.Context(), Options{Conn: conn, Root: srv.Dir(), RescueDir: t.TempDir()})
}

// A server that can't resolve the directory has nothing mounted: with an answer of nothing it would be its root that is shown, and written to.
func TestARootThatTheServerCanNotResolveIsRefused(t *testing.T) {
	for what, answer := range map[string]string{"nothing": "", "no path": "/a\x00b"} {
		t.Run(what, func(t *testing.T) {
			c, err := overReplies(t, func(p sftptest.Packet) sftptest.Action {
				if p.Request == nil || p.Request.Name != "REALPATH" {
					return sftptest.Pass()
				}
				body := binary.BigEndian.AppendUint32(nil, 1)
				body = binary.BigEndian.AppendUint32(body, uint32(len(answer)))
				return sftptest.ReplaceBody(append(append(body, answer...), make([]byte, 8)...))
			})
			if err == nil {
				_ = c.Close()
				t.Fatalf("%q is mounted", c.rootDir)
			}
			if !strings.Contains(err.Error(), "no path") {
				t.Error(err)
			}
		})
	}
}

func TestARemoteDirectoryThatIsGone(t *testing.T) {
	r := newRig(t, nil)
	if err := os.RemoveAll(r.dir); err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	r.Root().expire()
	r.mu.Unlock()
	_, _, err := r.Getattr(ctxOf(t), r.Root(), nil)
	wantErrno(t, err, syscall.ENOENT)
	if err := os.Mkdir(r.dir, 0o755); err != nil {
		t.Fatal(err)
	}
}
