package sftpconn

import (
	"path/filepath"
	"sync"
	"testing"
	"time"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

func TestFsyncFollowsTheLastWritesOnEachChannel(t *testing.T) {
	tap, srv, c := tapped(t)
	tap.SetDelay(50 * time.Millisecond)
	path := filepath.Join(srv.Dir(), "f")
	f := openFile(t, c, path, wr|cre)
	want := content(1, 64<<20)
	var mu sync.Mutex // guards last
	last := make(map[int]string)
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "WRITE" || p.Name == "fsync@openssh.com" {
			mu.Lock()
			last[p.Channel] = p.Name
			mu.Unlock()
		}
		return sftptest.Pass()
	})
	written := make(chan error)
	go func() { written <- writeAll(limited(t), f, want, 128) }()
	stored, err := f.FsyncBehind(limited(t), nil, int64(len(want)))
	if err != nil || stored == nil {
		t.Fatalf("it was not asked for: %v", err)
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	if !stored() {
		t.Error("nothing was written since, and it is said not to be stored")
	}
	mu.Lock()
	for ch, name := range last {
		if name == "WRITE" {
			t.Errorf("channel %d: no fsync behind the last WRITE", ch)
		}
	}
	if len(last) < 2 {
		t.Errorf("written over %d channels", len(last))
	}
	mu.Unlock()
	sameAs(t, path, want)
	if err := f.WriteAt(limited(t), []byte("more"), 0); err != nil {
		t.Fatal(err)
	}
	if stored() {
		t.Error("what was written since is said to be stored")
	}
}

// writeAndFsync writes a little, which must succeed, and gives what came of an fsync behind it.
func writeAndFsync(t *testing.T, f *File) (stored func() bool, err error) {
	t.Helper()
	written := make(chan error)
	go func() { written <- f.WriteAt(limited(t), []byte("bytes"), 0) }()
	stored, err = f.FsyncBehind(limited(t), nil, 5)
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	return stored, err
}

func TestAnFsyncThatTheLineSwallowedStoresNothing(t *testing.T) {
	tap, srv, c := tapped(t)
	f := openFile(t, c, filepath.Join(srv.Dir(), "f"), wr|cre)
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "fsync@openssh.com" {
			tap.OnRequest(nil)
			srv.Cut()
		}
		return sftptest.Pass()
	})
	if stored, err := writeAndFsync(t, f); stored != nil || err != nil {
		t.Errorf("a lost connection counts as an answer: %v", err)
	}
	if err := f.Fsync(limited(t)); err != nil {
		t.Fatal(err)
	}
}

func TestAnFsyncBehindWritesTellsTheErrorOfTheServer(t *testing.T) {
	tap, srv, c := tapped(t)
	f := openFile(t, c, filepath.Join(srv.Dir(), "f"), wr|cre)
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "fsync@openssh.com" {
			return sftptest.Answer(session.StatusFailure, "disk on fire")
		}
		return sftptest.Pass()
	})
	if stored, err := writeAndFsync(t, f); stored != nil || err == nil {
		t.Errorf("the server's error is not told: %v", err)
	}
}

func TestAnFsyncBehindWritesEndsWithTheWaitingForThem(t *testing.T) {
	srv := sftptest.New(t)
	c := connect(t, srv)
	f := openFile(t, c, filepath.Join(srv.Dir(), "f"), wr|cre)
	until := make(chan struct{})
	close(until)
	if stored, err := f.FsyncBehind(limited(t), until, 5); stored != nil || err != nil {
		t.Errorf("nothing was written, and it is said to be stored: %v", err)
	}
}
