package sftpconn

import (
	"maps"
	"path/filepath"
	"sync"
	"sync/atomic"
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
	var mu sync.Mutex // guards what follows
	flying, last := make(map[int]int), make(map[int]string)
	var behind map[int]int // the WRITEs that were not answered before the first fsync, by channel
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		mu.Lock()
		defer mu.Unlock()
		switch p.Name {
		case "WRITE":
			flying[p.Channel]++
			last[p.Channel] = p.Name
			if behind != nil {
				behind[p.Channel]++ // it was in its session's queue
			}
		case "fsync@openssh.com":
			last[p.Channel] = p.Name
			if behind == nil {
				behind = maps.Clone(flying)
			}
		}
		return sftptest.Pass()
	})
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		mu.Lock()
		defer mu.Unlock()
		if p.Request != nil && p.Request.Name == "WRITE" {
			flying[p.Channel]--
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
	for ch, n := range behind {
		if n > 0 && last[ch] == "WRITE" {
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

// The server takes seconds for it, and lets all that comes behind it on the channel wait.
func TestNamesDoNotWaitForAnFsyncWhereTheFileIsOpenOnAnotherChannel(t *testing.T) {
	tap, srv, c := tapped(t)
	f := openFile(t, c, file(t, srv, "f", []byte("x")), rd)
	var over atomic.Int32
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "fsync@openssh.com" {
			over.Store(int32(p.Channel))
		}
		return sftptest.Pass()
	})
	if err := f.Fsync(limited(t)); err != nil || over.Load() != 1 {
		t.Errorf("of a file that is open on the channel of names alone: over channel %d, %v", over.Load(), err)
	}
	if err := striped(f, bulkChannel(t, c), reading); err != nil {
		t.Fatal(err)
	}
	if err := f.Fsync(limited(t)); err != nil || over.Load() == 1 {
		t.Errorf("over channel %d, %v", over.Load(), err)
	}

	// It was written over both, and all of that is answered.
	over.Store(0)
	f.mu.Lock()
	for _, h := range f.handles {
		h.unstored = true
	}
	f.mu.Unlock()
	tap.Reset()
	stored, err := f.FsyncBehind(limited(t), nil, 0)
	if err != nil || stored == nil || !stored() {
		t.Errorf("behind writes: %v", err)
	}
	if n := tap.Count("fsync@openssh.com"); n != 1 || over.Load() == 1 {
		t.Errorf("behind writes: %d, over channel %d", n, over.Load())
	}
}
