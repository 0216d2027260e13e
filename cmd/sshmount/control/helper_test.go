package control

import (
	"context"
	"log/slog"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// backend is a mount that says what it is told to.
type backend struct {
	status Status
	sync   func(context.Context) error
	umount func(context.Context, UmountRequest) Outcome
	kicks  atomic.Int32
}

func (b *backend) Status() Status                 { return b.status }
func (b *backend) Sync(ctx context.Context) error { return b.sync(ctx) }
func (b *backend) Umount(ctx context.Context, w UmountRequest) Outcome {
	return b.umount(ctx, w)
}
func (b *backend) Kick() { b.kicks.Add(1) }

// listen starts the server of a mount in a runtime directory of its own.
func listen(t *testing.T, mountpoint string, b Backend) *Server {
	t.Helper()
	s, err := Listen(Record{Mountpoint: mountpoint, Source: "host:", Started: time.Now()}, b, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(t.Context()) })
	return s
}

// runtimeDir gives the test a place for sockets whose name is short enough.
func runtimeDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ctl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Setenv("XDG_RUNTIME_DIR", dir)
	return dir
}
