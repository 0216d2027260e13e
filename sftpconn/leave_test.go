package sftpconn

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"testing"

	"sshmount/sftpconn/sftptest"
	"sshmount/sftpconn/transport"
)

// leaver is a transport that notes whether it is left.
type leaver struct {
	transport.Transport
	left atomic.Bool
}

func (l *leaver) Leave() { l.left.Store(true) }

func TestAConnectionIsLeftInOrderOnlyWhereNothingIsInFlight(t *testing.T) {
	for what, answered := range map[string]bool{"all is answered": true, "an answer is missing": false} {
		t.Run(what, func(t *testing.T) {
			tap := sftptest.NewTap()
			srv := sftptest.New(t, sftptest.WithTap(tap))
			var line *leaver
			c := connect(t, srv, func(o *Options) {
				o.Dial = func(ctx context.Context) (transport.Transport, error) {
					tr, err := srv.Dial(ctx)
					line = &leaver{Transport: tr}
					return line, err
				}
			})
			if !answered {
				held := holdReply(t, c, tap, "MKDIR")
				done := make(chan struct{})
				go func() {
					defer close(done)
					c.Mkdir(limited(t), filepath.Join(srv.Dir(), "dir"), 0o755)
				}()
				held()
				defer func() { <-done }()
			}
			c.Close()
			if line.left.Load() != answered {
				t.Errorf("it is left in order: %v", line.left.Load())
			}
		})
	}
}
