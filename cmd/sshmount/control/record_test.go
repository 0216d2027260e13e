package control

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

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
