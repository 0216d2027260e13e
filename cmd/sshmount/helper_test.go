package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"sshmount/cmd/sshmount/control"
	"sshmount/cmd/sshmount/mountpoint"
	"sshmount/sftpconn/sftpserve"
)

// programVariable makes this program be sshmount in place of the tests: a
// process that serves a mount must not be the one that uses it.
const programVariable = "SSHMOUNT_TEST_PROGRAM"

// limit is how long anything may take on a busy machine.
const limit = 60 * time.Second

func TestMain(m *testing.M) {
	if os.Getenv(programVariable) != "" {
		os.Exit(run(os.Args))
	}
	if signal.Ignored(syscall.SIGHUP) { // as under nohup; the programs that are started from here would ignore it as well
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	}
	goleak.VerifyTestMain(m)
}

// world is a server with a directory, what a client needs, and a mount point.
type world struct {
	t      *testing.T
	dir    string // of everything
	data   string // what the server has
	mnt    string
	client *sftpserve.Client

	server  *sftpserve.Server
	hostKey ssh.Signer
}

func newWorld(t *testing.T) *world {
	t.Helper()
	fuse, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("there is no FUSE to be used on this machine: %v", err)
	}
	unix.Close(fuse)
	// The name is part of a socket's address, which is short.
	dir, err := os.MkdirTemp("", "cmd")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: dir, data: filepath.Join(dir, "data"), mnt: filepath.Join(dir, "mnt")}
	for _, d := range []string{w.data, w.mnt, w.runtime(), w.state()} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if _, _, mounted := mountpoint.Mounted(w.mnt); mounted {
			mountpoint.Detach(w.mnt)
		}
		os.RemoveAll(dir)
	})
	if w.client, err = sftpserve.NewClient(filepath.Join(dir, "client")); err != nil {
		t.Fatal(err)
	}
	w.serve("127.0.0.1:0", nil)
	if err := w.client.Trust(w.server.Addr(), w.server.HostKey()); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) runtime() string { return filepath.Join(w.dir, "run") }
func (w *world) state() string   { return filepath.Join(w.dir, "state") }

// serve starts the server, with a fresh host key for nil.
func (w *world) serve(addr string, key ssh.Signer) {
	w.t.Helper()
	if key == nil {
		var err error
		if key, _, err = sftpserve.NewKey(); err != nil {
			w.t.Fatal(err)
		}
	}
	w.hostKey = key
	o := sftpserve.Options{Listen: addr, Dir: w.data, HostKey: key}
	o.Users = append(o.Users, w.client.Key)
	s, err := sftpserve.Start(o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.server = s
	w.t.Cleanup(func() { s.Close() })
}

// command makes a command of the program under a name.
func (w *world) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	w.t.Helper()
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Args[0] = name
	cmd.Dir = w.dir
	cmd.Env = append(os.Environ(), programVariable+"=1", "XDG_RUNTIME_DIR="+w.runtime(), "XDG_STATE_HOME="+w.state())
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// run runs the program to its end; a mount goes into the background.
func (w *world) run(args ...string) (status int, output string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	out, err := w.command(ctx, "sshmount", args...).CombinedOutput()
	if ctx.Err() != nil {
		w.t.Fatalf("%q is not done after %v; so far it says:\n%s", args, limit, out)
	}
	if exit, ok := err.(*exec.ExitError); ok {
		return exit.ExitCode(), string(out)
	}
	if err != nil {
		w.t.Fatalf("%q: %v", args, err)
	}
	return 0, string(out)
}

// want runs the program, which must end with a status and say words.
func (w *world) want(status int, words []string, args ...string) string {
	w.t.Helper()
	got, out := w.run(args...)
	if got != status {
		w.t.Fatalf("%q ends with %d, want %d; it says:\n%s\nlog:\n%s", args, got, status, out, w.log())
	}
	for _, word := range words {
		if !strings.Contains(out, word) {
			w.t.Errorf("%q does not say %q:\n%s", args, word, out)
		}
	}
	return out
}

// mount mounts the server's directory in the background.
func (w *world) mount(args ...string) control.Record {
	w.t.Helper()
	if out := w.want(exitOK, nil, append([]string{"-F", w.client.Config, "try:", w.mnt}, args...)...); out != "" {
		w.t.Errorf("a mount that came about says:\n%s", out)
	}
	return w.record()
}

// record is that of the mount.
func (w *world) record() control.Record {
	w.t.Helper()
	w.t.Setenv("XDG_RUNTIME_DIR", w.runtime())
	r, ok := control.Find(w.mnt)
	if !ok {
		w.t.Fatal("the mount has no record")
	}
	return r
}

func (w *world) log() string {
	files, _ := filepath.Glob(filepath.Join(w.state(), "sshmount", "log", "*"))
	var all bytes.Buffer
	for _, f := range files {
		text, _ := os.ReadFile(f)
		fmt.Fprintf(&all, "%s:\n%s", f, text)
	}
	return all.String()
}

// eventually waits for something to come true.
func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !check(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

// ended waits for the process of a mount to be gone, and the mount with it.
func (w *world) ended(r control.Record) {
	w.t.Helper()
	eventually(w.t, "the process ends; log:\n"+w.log(), func() bool { return !r.Alive() })
	if _, _, mounted := mountpoint.Mounted(w.mnt); mounted {
		w.t.Error("the mount is left")
	}
}

func (w *world) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) holds(name, text string) {
	w.t.Helper()
	if b, err := os.ReadFile(name); err != nil || string(b) != text {
		w.t.Errorf("%s holds %q, %v; want %q", name, b, err, text)
	}
}
