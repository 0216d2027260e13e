package sftpconn

import (
	"context"
	"errors"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
)

// A server that does not answer limits@ on a new connection, and perhaps nothing else.
func TestNobodyWaitsForTheLimitsOfANewConnection(t *testing.T) {
	for _, row := range []struct {
		what   string
		frozen bool
		want   error
	}{
		{"all else is answered", false, nil},
		{"the line is frozen", true, context.DeadlineExceeded},
	} {
		t.Run(row.what, func(t *testing.T) {
			tap := sftptest.NewTap()
			srv := sftptest.New(t, sftptest.WithTap(tap))
			c := connect(t, srv)
			f := openFile(t, c, file(t, srv, "f", []byte("x")), rd)
			most := f.MaxRead()
			if most <= minPiece {
				t.Fatalf("reads of %d bytes at most, from a server that takes more", most)
			}
			asked := make(chan struct{})
			tap.OnReply(func(p sftptest.Packet) sftptest.Action {
				if p.Request != nil && p.Request.Name == "limits@openssh.com" {
					if row.frozen {
						srv.Freeze()
					}
					close(asked)
					return sftptest.Drop()
				}
				return sftptest.Pass()
			})
			srv.Cut()
			<-asked
			eventually(t, "connected again", func() bool { return c.Status().Connected })
			ctx := limited(t)
			if row.frozen { // then it waits for as long as it may
				short, cancel := context.WithTimeout(ctx, 2*time.Second)
				defer cancel()
				ctx = short
			}
			done := make(chan error, 1)
			go func() {
				_, err := f.ReadAt(ctx, make([]byte, 1), 0)
				done <- err
			}()
			select {
			case err := <-done:
				if !errors.Is(err, row.want) {
					t.Errorf("%v, want %v", err, row.want)
				}
			case <-time.After(3 * patience):
				t.Error("a read goes on when its context has ended")
			}
			if n := f.MaxRead(); n != most {
				t.Errorf("%d bytes a read, %d on the connection before", n, most)
			}
			srv.Thaw()
		})
	}
}
