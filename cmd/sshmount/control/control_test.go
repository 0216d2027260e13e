package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sshmount/cache"
	"sshmount/sftpconn"
	"sshmount/sftpconn/transport"
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

func TestSocketsAreNotWhereAnotherUserCouldReplaceThem(t *testing.T) {
	for name, spoil := range map[string]func(dir string) error{
		"another user's": func(dir string) error { return os.Chown(dir, 12345, 12345) },
		"everybody may rename what is not theirs": func(dir string) error { return os.Chmod(dir, 0o777) },
	} {
		t.Run(name, func(t *testing.T) {
			runtime := runtimeDir(t)
			if err := spoil(runtime); err != nil {
				t.Skip(err)
			}
			dir, err := MakeDir()
			if err != nil || strings.HasPrefix(dir, runtime) {
				t.Errorf("the socket is to be in %q; %v", dir, err)
			}
			if list := dirs(); slices.ContainsFunc(list, func(d string) bool { return strings.HasPrefix(d, runtime) }) {
				t.Errorf("mounts are looked for in %q", list)
			}
			if _, err := os.Lstat(filepath.Join(runtime, "sshmount")); err == nil {
				t.Error("a directory was left there")
			}
		})
	}
}

func TestSocketsMayBeInAStickyDirectoryOfAll(t *testing.T) {
	runtime := runtimeDir(t)
	if err := os.Chmod(runtime, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	if dir, err := MakeDir(); err != nil || dir != filepath.Join(runtime, "sshmount") {
		t.Errorf("the socket is to be in %q; %v", dir, err)
	}
}

func TestAMountIsFoundAndAnswers(t *testing.T) {
	dir := runtimeDir(t)
	b := &backend{status: Status{State: Connected, Connected: true}}
	s := listen(t, "/mnt/a b", b)
	r, ok := Find("/mnt/a b")
	if !ok || !r.Alive() || r.PID != os.Getpid() {
		t.Fatalf("record %+v, %v", r, ok)
	}
	if st := StatusOf(t.Context(), r); st.State != Connected || st.Mountpoint != "/mnt/a b" || st.Source != "host:" {
		t.Errorf("status %+v", st)
	}
	if err := Connect(r).Kick(t.Context()); err != nil || b.kicks.Load() != 1 {
		t.Errorf("kick: %v, %d", err, b.kicks.Load())
	}
	for file, want := range map[string]os.FileMode{r.socket(): 0o600, r.file(): 0o600, filepath.Join(dir, "sshmount"): 0o700} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %v", file, info.Mode(), err, want)
		}
	}
	s.Close(t.Context())
	if _, ok := Find("/mnt/a b"); ok {
		t.Error("the record outlives the mount")
	}
	if st := StatusOf(t.Context(), r); st.State != Silent {
		t.Errorf("a process without a socket is %s", st.State)
	}
}

func TestAStoppedProcessIsSilentAndTheUserIsToldWhatToDo(t *testing.T) {
	runtimeDir(t)
	dir, err := MakeDir()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	r := Record{Mountpoint: "/mnt/x", PID: cmd.Process.Pid, dir: dir}
	r.Born = born(r.PID)
	listener, err := net.Listen("unix", r.socket()) // connections wait in its queue: nobody accepts them
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); !r.stopped(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not stop")
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	c := Connect(r)
	c.http.Transport.(*http.Transport).ResponseHeaderTimeout = 100 * time.Millisecond
	_, umount := c.Umount(t.Context(), UmountRequest{}, func(Progress) {})
	s := StatusOf(ctx, r)
	for _, said := range []string{s.LastError, fmt.Sprint(umount)} {
		if !strings.Contains(said, "nothing came in time") || !strings.Contains(said, fmt.Sprintf("kill -CONT %d", r.PID)) || strings.Contains(said, "http") {
			t.Errorf("it is said: %s", said)
		}
	}
	if s.State != Silent {
		t.Errorf("state %s", s.State)
	}
}

func TestAGoneProcessIsDead(t *testing.T) {
	runtimeDir(t)
	dir, err := MakeDir()
	if err != nil {
		t.Fatal(err)
	}
	// The number of a process that is there, with the birth of another.
	r := Record{Mountpoint: "/mnt/x", PID: os.Getpid(), Born: "1", dir: dir}
	if err := r.save(); err != nil {
		t.Fatal(err)
	}
	found, ok := Find("/mnt/x")
	if !ok || found.Alive() {
		t.Fatalf("record %+v, %v", found, ok)
	}
	if st := StatusOf(t.Context(), found); st.State != Dead {
		t.Errorf("state %s", st.State)
	}
	Forget(found)
	if _, ok := Find("/mnt/x"); ok {
		t.Error("the record is still there")
	}
}

func TestTheRecordOfANewerMountIsLeft(t *testing.T) {
	runtimeDir(t)
	first := listen(t, "/mnt/x", &backend{})
	newer := first.Record()
	newer.Born = "1"
	if err := newer.save(); err != nil {
		t.Fatal(err)
	}
	first.Close(t.Context())
	if r, ok := Find("/mnt/x"); !ok || r.Born != "1" {
		t.Error("the end of a mount took another's record away")
	}
}

func TestADirectoryOfOthersIsNotTrusted(t *testing.T) {
	dir := filepath.Join(runtimeDir(t), "sshmount")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := checkDir(dir); err == nil {
		t.Error("an open directory is trusted")
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(t.TempDir(), dir); err != nil {
		t.Fatal(err)
	}
	if err := checkDir(dir); err == nil {
		t.Error("a link is trusted")
	}
}

func TestLongRequestsTellHowTheyGetOn(t *testing.T) {
	runtimeDir(t)
	b := &backend{status: Status{State: Connected, Unsaved: Unsaved{Bytes: 12 << 20, Count: 5000, Files: []string{"a", "b", "c"}, Operations: 2}}}
	told := make(chan struct{})
	b.sync = func(ctx context.Context) error {
		select {
		case <-told:
		case <-ctx.Done():
		}
		return errors.New("/f: no space left on device")
	}
	var wish UmountRequest
	b.umount = func(_ context.Context, w UmountRequest) Outcome {
		wish = w
		return Outcome{Unsaved: true, Error: "x", Rescued: []string{"/r"}}
	}
	c := Connect(listen(t, "/mnt/x", b).Record())
	var lines []string
	o, err := c.Sync(t.Context(), func(p Progress) {
		if lines = append(lines, p.String()); len(lines) == 2 {
			close(told)
		}
	})
	if err != nil || !o.Unsaved || o.Error != "/f: no space left on device" {
		t.Errorf("sync: %+v, %v", o, err)
	}
	if len(lines) < 2 || lines[0] != "5000 files, 12 MiB, 2 operations to go" {
		t.Errorf("progress %q", lines)
	}
	o, err = c.Umount(t.Context(), UmountRequest{Lazy: true, Timeout: time.Minute}, func(Progress) {})
	if err != nil || len(o.Rescued) != 1 || !wish.Lazy || wish.Timeout != time.Minute {
		t.Errorf("umount: %+v, %v, wish %+v", o, err, wish)
	}
}

// When all is saved the mount closes the connection itself, and may take a while to end.
func TestAnEndWithNothingToSaveTellsOfNoLostLine(t *testing.T) {
	for _, c := range []struct {
		unsaved int
		idle    bool
	}{{0, true}, {1, false}} {
		runtimeDir(t)
		told := make(chan struct{})
		once := sync.OnceFunc(func() { close(told) })
		b := &backend{status: Status{State: Disconnected, LastError: "closed", Ending: true, Unsaved: Unsaved{Operations: c.unsaved}}}
		b.umount = func(context.Context, UmountRequest) Outcome {
			<-told
			return Outcome{}
		}
		_, err := Connect(listen(t, "/mnt/x", b).Record()).Umount(t.Context(), UmountRequest{}, func(p Progress) {
			if p.Idle() != c.idle {
				t.Errorf("with %d operations unsaved: %v", c.unsaved, p)
			}
			once()
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestAnAskerWhoLeavesEndsTheWait(t *testing.T) {
	runtimeDir(t)
	ended := make(chan struct{})
	b := &backend{sync: func(ctx context.Context) error {
		<-ctx.Done()
		close(ended)
		return ctx.Err()
	}}
	c := Connect(listen(t, "/mnt/x", b).Record())
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := c.Sync(ctx, func(Progress) { cancel() }); err == nil {
		t.Error("sync ended well")
	}
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("the mount still waits for somebody who left")
	}
}

func TestMetrics(t *testing.T) {
	runtimeDir(t)
	s := listen(t, "/mnt/x", &backend{status: Status{State: Connected, Line: Line{BytesRead: 42}}})
	resp, err := Connect(s.Record()).http.Get("http://mount/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v\n%s", resp.Status, err, body)
	}
	for _, want := range []string{`sshmount_connected{mountpoint="/mnt/x"} 1`, `sshmount_read_bytes_total{mountpoint="/mnt/x"} 42`, "go_goroutines"} {
		if !strings.Contains(string(body), want) {
			t.Errorf("no %s", want)
		}
	}
}

// render is the text of a status that is told from the rooms' own reports.
func render(t *testing.T, line sftpconn.Status, known cache.Status, now time.Time) string {
	t.Helper()
	var b strings.Builder
	s := Tell(line, known)
	s.Record = Record{Mountpoint: "/mnt/x", Source: "me@host:/d", PID: 42, Started: now.Add(-time.Hour), Log: "/log"}
	if err := s.Write(&b, now); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestStatusInWords(t *testing.T) {
	now := time.Now()
	login := transport.Info{Client: "native", Remote: "192.0.2.1:22", User: "me", AuthMethod: "publickey", Cipher: "aes", HostKey: "ED25519 x"}
	tests := []struct {
		name  string
		line  sftpconn.Status
		known cache.Status
		words []string
	}{
		{"connected", sftpconn.Status{Connected: true, Since: now.Add(-90 * time.Second), Info: login, RTT: 51 * time.Millisecond}, cache.Status{},
			[]string{"/mnt/x  from me@host:/d", "  connected since ", "(1 min 30 s)", "login: me by publickey at 192.0.2.1:22, client native", "RTT 51 ms", "everything is saved", "process 42", "log /log"}},
		{"down", sftpconn.Status{Since: now.Add(-5 * time.Second), LastError: "connection refused", NextTry: now.Add(4500 * time.Millisecond), Waiting: 2}, cache.Status{},
			[]string{"NOT CONNECTED since", "connection refused; next try in 4 s", "waiting: 2 requests for the connection", "RTT unknown"}},
		{"given up", sftpconn.Status{GaveUp: true, Since: now, LastError: "no route", NextTry: now.Add(-time.Second)}, cache.Status{},
			[]string{"NOT CONNECTED", "no route; trying now", "programs get errors until it is back"}},
		{"just lost", sftpconn.Status{Since: now, LastError: "EOF"}, cache.Status{}, []string{"NOT CONNECTED", "EOF; trying now\n"}},
		{"for good", sftpconn.Status{GaveUp: true, Since: now, LastError: "EOF"}, cache.Status{}, []string{"EOF; not trying again, programs get errors\n"}},
		{"unsaved", sftpconn.Status{Connected: true, Since: now, InFlight: 1, Oldest: 1500 * time.Millisecond},
			cache.Status{UnsavedBytes: 3 << 20, UnsavedCount: 2, UnsavedFiles: []cache.UnsavedFile{{Path: "/d/a"}, {Path: "/d/\x1b[2J"}}, UnsavedOps: 1, OldestUnsaved: now.Add(-40 * time.Second),
				Errors: []string{"/d/e: quota"}, Rescued: []string{"/r/1: gone"}},
			[]string{"in flight: 1 request, the oldest for 1.5 s", "NOT SAVED YET: 2 files, 3 MiB, 1 operation, the oldest for 40 s", "    /d/a\n", `"/d/\x1b[2J"`,
				"errors since the last `sshmount sync`:\n    /d/e: quota", "kept in:\n    /r/1: gone"}},
		{"much unsaved", sftpconn.Status{Connected: true, Since: now},
			cache.Status{UnsavedBytes: 5000, UnsavedCount: 5000, UnsavedFiles: make([]cache.UnsavedFile, 100)},
			[]string{"NOT SAVED YET: 5000 files, 4.88 KiB", "    (removed, and still open)\n", "and 4990 more"}},
		{"back", sftpconn.Status{Connected: true, Since: now, Reconnects: 1, LastError: "silence"}, cache.Status{}, []string{"after 1 reconnect (the last because: silence)"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			text := render(t, test.line, test.known, now)
			for _, w := range test.words {
				if !strings.Contains(text, w) {
					t.Errorf("no %q in:\n%s", w, text)
				}
			}
		})
	}
}

func TestStatusInJSONHasListsAndNoNulls(t *testing.T) {
	text, err := json.Marshal(Tell(sftpconn.Status{}, cache.Status{}))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"errors":[]`, `"rescued":[]`, `"files":[]`, `"connected":false`, `"state":"disconnected"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	if strings.Contains(string(text), "null") {
		t.Errorf("null in %s", text)
	}
}

func TestSizesAndTimesInWords(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 1023 << 10: "0.999 MiB", 5 << 30: "5 GiB", 3 << 50: "3.07e+03 TiB"} {
		if got := Bytes(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{-1: "0 s", 59 * time.Second: "59 s", time.Hour: "1 h 0 min", 49 * time.Hour: "2 d 1 h"} {
		if got := Ago(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
