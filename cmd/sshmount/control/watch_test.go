package control

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// watched starts a server that looks after itself all the time.
func watched(t *testing.T, mountpoint string) *Server {
	t.Helper()
	s, err := listenAndWatch(Record{Mountpoint: mountpoint, Source: "host:", Started: time.Now()}, &backend{}, slog.New(slog.DiscardHandler), 5*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(t.Context()) })
	return s
}

// answers waits until the mount is found and answers.
func answers(t *testing.T, mountpoint string) Record {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if r, ok := Find(mountpoint); ok && Connect(r).Kick(t.Context()) == nil {
			return r
		}
		if time.Now().After(deadline) {
			t.Fatal("the mount is not found any more")
		}
	}
}

func TestAMountOfAJobWithATMPDIRIsFoundFromOutside(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("XDG_RUNTIME_DIR", "")
	inside := slices.DeleteFunc(candidates(), func(dir string) bool { return strings.HasPrefix(dir, os.Getenv("TMPDIR")) })
	all := candidates()
	if len(inside) == 0 {
		t.Fatal("all places are below TMPDIR")
	}
	t.Setenv("TMPDIR", t.TempDir())
	outside := candidates()
	for i, dir := range inside {
		if all[i] != dir || !slices.Contains(outside, dir) {
			t.Errorf("with one TMPDIR: %q; with another: %q", all, outside)
		}
	}
}

// At the last logout systemd removes the runtime directory.
func TestAMountIsFoundAgainAfterALogout(t *testing.T) {
	dir := runtimeDir(t)
	t.Setenv("TMPDIR", t.TempDir())
	point := filepath.Join(dir, "mnt") // no other test's
	s := watched(t, point)
	// At once, by a new name: while it is removed the server may make something in it.
	takeAway := func(name string) {
		t.Helper()
		if err := os.Rename(name, filepath.Join(t.TempDir(), "gone")); err != nil {
			t.Fatal(err)
		}
	}
	for _, gone := range []string{s.Record().socket(), s.Record().file(), filepath.Join(dir, "sshmount")} {
		takeAway(gone)
		answers(t, point)
	}
	// The place itself is gone: another one is found.
	takeAway(dir)
	r := answers(t, point)
	if filepath.Dir(r.file()) == filepath.Join(dir, "sshmount") {
		t.Errorf("the record is %s", r.file())
	}
	s.Close(t.Context())
	if _, err := os.Stat(r.file()); err == nil {
		t.Error("the record outlives the mount")
	}
	if _, err := os.Stat(r.socket()); err == nil {
		t.Error("the socket outlives the mount")
	}
}

// A runtime directory is small, and may be full.
func TestAMountIsFoundWhereTheFirstPlaceIsFull(t *testing.T) {
	dir := runtimeDir(t)
	t.Setenv("TMPDIR", t.TempDir())
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4k,mode=700"); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	if err := os.WriteFile(filepath.Join(dir, "other"), make([]byte, 4<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	point := filepath.Join(dir, "mnt") // no other test's
	listen(t, point, &backend{})
	if r := answers(t, point); strings.HasPrefix(r.file(), dir) {
		t.Errorf("the record is %s", r.file())
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "sshmount", "*")); len(left) > 0 {
		t.Errorf("left over: %q", left)
	}
}

func TestAMountDoesNotTakeTheSocketOfANewerOneAway(t *testing.T) {
	runtimeDir(t)
	old := listen(t, "/mnt/x", &backend{}) // which does not look by itself for as long as this takes
	newer := listen(t, "/mnt/x", &backend{})
	// Both are of this process: what tells them apart is set by hand.
	r := newer.Record()
	r.Born = "1"
	if err := r.save(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(r.socket()); err != nil {
		t.Fatal(err)
	}
	if err := old.look(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(r.socket()); err == nil {
		t.Error("the older mount has put its socket there")
	}
	old.Close(t.Context())
	if now, err := load(r.file()); err != nil || now.Born != "1" {
		t.Errorf("the record is %+v, %v", now, err)
	}
}
