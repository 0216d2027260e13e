package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sshmount/cmd/sshmount/control"
)

func TestBytesThatCantBeDeliveredAreKept(t *testing.T) {
	w := newWorld(t)
	r := w.mount("-o", "drain_timeout=3")
	f, err := os.Create(filepath.Join(w.mnt, "report"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := w.server.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("not to be lost"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "status knows of the bytes and of the line", func() bool {
		s := control.StatusOf(t.Context(), r)
		return !s.Connected && s.Unsaved.Bytes > 0
	})
	// Another process can't be started to ask: closing its copy of f would wait for the line.
	var told strings.Builder
	if err := control.StatusOf(t.Context(), r).Write(&told, time.Now()); err != nil || !strings.Contains(told.String(), "NOT CONNECTED") || !strings.Contains(told.String(), "NOT SAVED YET") {
		t.Errorf("status says, %v:\n%s", err, told.String())
	}
	if err := syscall.Kill(r.PID, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	w.ended(r)
	var found string
	filepath.WalkDir(filepath.Join(w.state(), "sshmount", "rescue"), func(name string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if b, _ := os.ReadFile(name); strings.Contains(string(b), "not to be lost") {
				found = name
			}
		}
		return nil
	})
	if found == "" || !strings.Contains(w.log(), "not saved") {
		t.Errorf("no rescue file has the bytes, or the log is silent:\n%s", w.log())
	}
	if n := strings.Count(w.log(), "msg=saving"); n != 1 {
		t.Errorf("the log says %d times what was still to be saved, though it was the same all the time:\n%s", n, w.log())
	}
}

func TestALineThatBreaksComesBack(t *testing.T) {
	w := newWorld(t)
	r := w.mount()
	f, err := os.Create(filepath.Join(w.mnt, "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	addr, key := w.server.Addr().String(), w.hostKey
	if err := w.server.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("written while the line was down"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "status says that the line is down", func() bool { return !control.StatusOf(t.Context(), r).Connected })
	w.serve(addr, key)
	if err := control.Connect(r).Kick(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	w.holds(filepath.Join(w.data, "f"), "written while the line was down")
	s := control.StatusOf(t.Context(), r)
	if !s.Connected || s.Reconnects != 1 || !s.Unsaved.None() {
		t.Errorf("status %+v", s)
	}
	w.want(exitOK, nil, "umount", w.mnt)
	w.ended(r)
}

func TestAServerWithAnotherHostKeyIsNotComeBackTo(t *testing.T) {
	w := newWorld(t)
	w.write(filepath.Join(w.data, "f"), "x")
	r := w.mount()
	addr := w.server.Addr().String()
	if err := w.server.Close(); err != nil {
		t.Fatal(err)
	}
	w.serve(addr, nil)
	why := func() string { return control.StatusOf(t.Context(), r).LastError }
	for deadline := time.Now().Add(limit); !strings.Contains(strings.ToLower(why()), "host key"); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("status does not say that the host key has changed, but: %s", why())
		}
	}
	if err := syscall.Kill(r.PID, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	w.ended(r)
}
