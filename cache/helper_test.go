package cache

import (
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"os"
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

// put writes a file on the remote side, behind the cache's back.
func (r *rig) put(name, content string) {
	r.t.Helper()
	p := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
		r.t.Fatal(err)
	}
	// Older than the second in which it is looked at, as files are that nobody writes at the moment.
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(p, old, old); err != nil {
		r.t.Fatal(err)
	}
}

// remote reads a file of the remote side, behind the cache's back.
func (r *rig) remote(name string) string {
	r.t.Helper()
	b, err := os.ReadFile(filepath.Join(r.dir, name))
	if err != nil {
		r.t.Fatal(err)
	}
	return string(b)
}

// find walks to a path as the kernel would.
func (r *rig) find(p string) (Found, error) {
	f := Found{Node: r.Root()}
	for _, name := range strings.Split(p, "/") {
		var err error
		if f, err = r.Lookup(ctxOf(r.t), f.Node, name); err != nil {
			return f, err
		}
	}
	return f, nil
}

func (r *rig) mustFind(p string) Found {
	r.t.Helper()
	f, err := r.find(p)
	if err != nil {
		r.t.Fatalf("finding %s: %v", p, err)
	}
	return f
}

// readAll opens, reads and closes a file as cat(1) does.
func (r *rig) readAll(n *Node) string {
	r.t.Helper()
	h, _, err := r.Open(ctxOf(r.t), n, syscall.O_RDONLY)
	if err != nil {
		r.t.Fatalf("open: %v", err)
	}
	defer h.Release()
	s := r.readOpen(h)
	if err := h.Flush(ctxOf(r.t)); err != nil {
		r.t.Fatalf("close: %v", err)
	}
	return s
}

func (r *rig) readOpen(h *Handle) string {
	r.t.Helper()
	a, _, err := r.Getattr(ctxOf(r.t), h.Node(), h)
	if err != nil {
		r.t.Fatal(err)
	}
	var b strings.Builder
	for int64(b.Len()) < int64(a.Size) {
		v, err := h.Read(ctxOf(r.t), int64(b.Len()), 128<<10)
		if err != nil {
			r.t.Fatalf("read: %v", err)
		}
		for _, p := range v.Vecs {
			b.Write(p)
		}
		n := v.N
		v.Release()
		if n == 0 {
			break
		}
	}
	return b.String()
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

// create makes a file with a content, as most programs do.
func (r *rig) create(dir *Node, name, content string) Found {
	r.t.Helper()
	f, h, err := r.Create(ctxOf(r.t), dir, name, syscall.O_WRONLY, 0o644)
	if err != nil {
		r.t.Fatalf("create %s: %v", name, err)
	}
	if _, err := h.Write(ctxOf(r.t), []byte(content), 0); err != nil {
		r.t.Fatal(err)
	}
	if err := h.Flush(ctxOf(r.t)); err != nil {
		r.t.Fatal(err)
	}
	h.Release()
	return f
}

// list reads a directory to its end.
func (r *rig) list(n *Node) []DirEntry {
	r.t.Helper()
	d, err := r.OpenDir(ctxOf(r.t), n)
	if err != nil {
		r.t.Fatalf("opendir: %v", err)
	}
	defer d.Release()
	var all []DirEntry
	for e := range r.entries(d, 0) {
		if e.Off > 2 {
			all = append(all, e)
		}
	}
	return all
}

// entries gives the entries of an open directory from off on, "." and ".." among them, as readdir(3) does.
func (r *rig) entries(d *DirHandle, off uint64) iter.Seq[DirEntry] {
	return func(yield func(DirEntry) bool) {
		for {
			e, err := d.Next(ctxOf(r.t), off)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				r.t.Errorf("readdir: %v", err)
				return
			}
			off = e.Off
			if !yield(e) {
				return
			}
		}
	}
}

func names(list []DirEntry) map[string]bool {
	m := map[string]bool{}
	for _, e := range list {
		m[e.Name] = true
	}
	return m
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
