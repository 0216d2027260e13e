package cache

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sshmount/sftpconn"
	"sshmount/sftpconn/sftptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a cache over a real sftp-server, with a tap that counts what goes over the line.
type rig struct {
	*Cache
	t    *testing.T
	srv  *sftptest.Server
	tap  *sftptest.Tap
	conn *sftpconn.Conn
	dir  string // the remote root, on this machine
}

func newRig(t *testing.T, change func(*Options)) *rig {
	t.Helper()
	return newRigOver(t, sftpconn.Options{}, change)
}

// newRigOver is newRig with a connection that has options of its own.
func newRigOver(t *testing.T, connect sftpconn.Options, change func(*Options), server ...sftptest.Option) *rig {
	t.Helper()
	r := &rig{t: t, tap: sftptest.NewTap()}
	r.srv = sftptest.New(t, append(server, sftptest.WithTap(r.tap))...)
	r.dir = r.srv.Dir()
	connect.Dial = r.srv.Dial
	if connect.Logger == nil {
		connect.Logger = slog.New(slog.DiscardHandler)
	}
	conn, err := sftpconn.New(t.Context(), connect)
	if err != nil {
		t.Fatal(err)
	}
	r.conn = conn
	o := Options{Conn: conn, Root: r.dir, RescueDir: filepath.Join(t.TempDir(), "rescue")}
	if change != nil {
		change(&o)
	}
	if r.Cache, err = New(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		_ = r.Sync(ctx)
		_ = r.Close()
		_ = conn.Close()
	})
	return r
}

func async(o *Options) { o.Async = true }

// smallDisk gives a directory on a file system of 256 KiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("a small file system can't be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

func ctxOf(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// parkedIn counts the goroutines that wait for something within all of these functions.
func parkedIn(functions ...string) (count int) {
	all := make([]byte, 1<<20)
	all = all[:runtime.Stack(all, true)]
	for stack := range strings.SplitSeq(string(all), "\n\n") {
		header, frames, _ := strings.Cut(stack, "\n")
		parked := strings.Contains(header, "[select") || strings.Contains(header, "[chan")
		for _, f := range functions {
			parked = parked && strings.Contains(frames, "."+f+"(")
		}
		if parked {
			count++
		}
	}
	return count
}

// costs runs f, and fails where it takes more than want flights.
func (r *rig) costs(what string, want int, f func()) {
	r.t.Helper()
	r.costsAt(100*time.Millisecond, what, want, f)
}

// costsAt is costs with answers that come after a delay: long enough that a busy machine does not split a flight.
func (r *rig) costsAt(delay time.Duration, what string, want int, f func()) {
	r.t.Helper()
	r.tap.SetDelay(delay)
	r.tap.Reset()
	f()
	if got := r.tap.Flights(); got > want {
		r.t.Errorf("%s: %d flights, at most %d wanted:\n%s", what, got, want, strings.Join(r.tap.Log(), "\n"))
	}
}

func wantErrno(t *testing.T, err error, want syscall.Errno) {
	t.Helper()
	var got syscall.Errno
	if !errors.As(err, &got) || got != want {
		t.Errorf("got %v, want %v", err, want)
	}
}

// pass makes everything that is known as much older.
func (r *rig) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.epoch = r.epoch.Add(-d)
}

// distrustNode makes the next question about a node go to the server, as it does when its time is over.
func (r *rig) distrustNode(n *Node) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n.expire()
}

// statAgain is a stat(2) when what was known has had its time.
func (r *rig) statAgain(n *Node) {
	r.t.Helper()
	r.mu.Lock()
	n.expire()
	r.mu.Unlock()
	if _, _, err := r.Getattr(ctxOf(r.t), n, nil); err != nil {
		r.t.Fatal(err)
	}
}

// learnt waits until the server has said what mtime it gave to what was written here, after the handle by which that was done was released:
// before, the mtime is learnt only where a flush has come before the bytes arrived.
func (r *rig) learnt(n *Node) {
	r.t.Helper()
	waitFor(r.t, "the mtime is learnt", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return !n.mtimeUnknown() && !n.file.written.learning
	})
}
