package sftpconn

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// A file that not even its maker may open for writing is reopened with its bits widened for a moment, and the line
// breaks in that moment.
func TestAReadOnlyFileGetsItsBitsBackAfterALostLine(t *testing.T) {
	for _, request := range []string{"SETSTAT", "OPEN", "FSETSTAT"} {
		for _, done := range []bool{false, true} {
			t.Run(fmt.Sprint(request, " done ", done), func(t *testing.T) {
				tap := sftptest.NewTap()
				srv := sftptest.New(t, sftptest.WithTap(tap))
				c := connect(t, srv)
				ctx := limited(t)
				path := filepath.Join(srv.Dir(), "object")
				f, _, err := c.Open(ctx, OpenRequest{Path: at(path), Pflags: wr | cre | session.OpenExcl, Perm: 0o444})
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				var once atomic.Bool
				cut := func(name string) bool {
					if name == request && once.CompareAndSwap(false, true) {
						go srv.Cut()
						return true
					}
					return false
				}
				tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
					if info, err := os.Stat(path); p.Name == "OPEN" && (err != nil || info.Mode().Perm()&0o200 == 0) {
						return sftptest.Answer(session.StatusPermissionDenied, "no") // as to whom is not root
					}
					if !done && cut(p.Name) {
						return sftptest.Drop()
					}
					return sftptest.Pass()
				})
				tap.OnReply(func(p sftptest.Packet) sftptest.Action {
					if done && p.Request != nil && cut(p.Request.Name) {
						return sftptest.Drop()
					}
					return sftptest.Pass()
				})
				srv.Cut()
				if err := f.WriteAt(ctx, []byte("x"), 0); err != nil {
					t.Fatal(err)
				}
				sameAs(t, path, []byte("x"))
				if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o444 || srv.Dials() != 3 {
					t.Errorf("the file was 0444 and is %v for good; %v, %d dials", info.Mode(), err, srv.Dials())
				}
			})
		}
	}
}
