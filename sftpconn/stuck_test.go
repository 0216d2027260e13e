package sftpconn

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
)

// sooner makes the patience with a stuck channel short.
func sooner(t *testing.T, after, givenUp time.Duration) {
	wasAfter, wasGivenUp := stuckAfter, stuckGivenUp
	stuckAfter, stuckGivenUp = after, givenUp
	t.Cleanup(func() { stuckAfter, stuckGivenUp = wasAfter, wasGivenUp })
}

// fifo makes one on the server: whoever opens it to read waits for a writer.
func fifo(t *testing.T, srv *sftptest.Server) string {
	path := filepath.Join(srv.Dir(), "fifo")
	if err := syscall.Mkfifo(path, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// A name became a FIFO on the server; a program opens it, and is interrupted.
func TestAnOpeningThatNobodyWantsAnyMoreDoesNotBlockNames(t *testing.T) {
	for what, open := range map[string]func(ctx context.Context, c *Conn, path string) error{
		"open": func(ctx context.Context, c *Conn, path string) error {
			_, _, err := c.Open(ctx, OpenRequest{Path: at(path), Pflags: rd})
			return err
		},
		"read of a small file": func(ctx context.Context, c *Conn, path string) error {
			_, _, err := c.ReadSmall(ctx, path, 100)
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			sooner(t, time.Hour, 200*time.Millisecond)
			tap := sftptest.NewTap()
			srv := sftptest.New(t, sftptest.WithTap(tap))
			c := connect(t, srv)
			path := fifo(t, srv)
			ctx, cancel := context.WithCancel(limited(t))
			done := make(chan error, 1)
			go func() { done <- open(ctx, c, path) }()
			eventually(t, "the server is at the opening", func() bool { return tap.Count("OPEN") == 1 && c.newest.Load().Stall().Opening })
			cancel()
			if err := <-done; err == nil {
				t.Error("the FIFO was opened")
			}
			if _, err := c.Lstat(limited(t), srv.Dir()); err != nil {
				t.Errorf("another program's look-up: %v", err)
			}
			if srv.Dials() != 1 {
				t.Errorf("%d dials", srv.Dials())
			}
		})
	}
}

// Its channel holds the only handle of a file that has no name any more.
func TestAFileWithoutANameIsNotLostToAnOpeningThatNobodyWants(t *testing.T) {
	sooner(t, time.Hour, 200*time.Millisecond)
	tap, srv, c := tapped(t)
	path, blocks := file(t, srv, "f", []byte("x")), fifo(t, srv)
	var name atomic.Value
	name.Store(path)
	f, _, err := c.Open(limited(t), OpenRequest{Path: func() string { return name.Load().(string) }, Pflags: rd | wr})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	name.Store("")
	stuck := c.newest.Load()
	tap.Reset()
	ctx, cancel := context.WithCancel(limited(t))
	opened, behind := make(chan error, 1), make(chan error, 1)
	go func() {
		_, _, err := c.Open(ctx, OpenRequest{Path: at(blocks), Pflags: rd})
		opened <- err
	}()
	eventually(t, "the server is at the opening", func() bool { return tap.Count("OPEN") == 1 && stuck.Stall().Opening })
	cancel()
	<-opened
	go func() {
		_, err := c.Lstat(limited(t), srv.Dir())
		behind <- err
	}()
	eventually(t, "there is another channel of names", func() bool { return c.newest.Load() != stuck })
	if _, err := c.Lstat(limited(t), srv.Dir()); err != nil {
		t.Errorf("a look-up: %v", err)
	}
	c.freeStuck(c.allLinks()[0]) // as a second later; nothing is left to do that would be the watching goroutine's alone
	f.mu.Lock()
	for ch := range f.handles {
		if ch.over() || !ch.former.Load() || slices.Contains(c.allLinks()[0].bulkChannels(), ch) {
			t.Error("its channel was closed, or is given data while it is stuck")
		}
	}
	f.mu.Unlock()
	f.Close()
	if err := <-behind; err != nil {
		t.Errorf("what was asked behind the opening, when the file is closed: %v", err)
	}
}

func TestAStuckChannelIsTheLastChoice(t *testing.T) {
	srv := sftptest.New(t)
	c := connect(t, srv)
	f := openFile(t, c, file(t, srv, "f", []byte("x")), rd)
	bulk := bulkChannel(t, c)
	if err := striped(f, bulk, reading); err != nil {
		t.Fatal(err)
	}
	names := c.allLinks()[0].channels()[0]
	names.former.Store(true)
	names.stuck.Store(true)
	bulk.load[reading].Add(1 << 20)
	for name, why := range map[string]purpose{"small": forSmall, "lengthy": forLengthy, "for data": forData} {
		f.mu.Lock()
		h := f.best(reading, why, nil)
		f.mu.Unlock()
		if h == nil || h.ch != bulk {
			t.Errorf("a request that is %s waits for the server to come to an end with another", name)
		}
	}
}

// It is read ahead on a channel for bulk data, where others have READs.
func TestAFileReadAheadThatCannotBeOpenedIsGivenUp(t *testing.T) {
	sooner(t, 300*time.Millisecond, 200*time.Millisecond)
	tap, srv, c := tapped(t)
	l := c.links[0]
	l.grow(1)
	eventually(t, "a channel for bulk data", func() bool { return len(l.bulkChannels()) == 1 })
	bulk := l.bulkChannels()[0]
	done, behind := make(chan error, 1), make(chan error, 1)
	path := fifo(t, srv)
	go func() {
		_, _, err := c.ReadSmall(context.Background(), path, 100)
		done <- err
	}()
	eventually(t, "the server is at the opening", func() bool { return tap.Count("OPEN") == 1 && bulk.s.Stall().Opening })
	go func() { behind <- bulk.wait(context.Background(), bulk.s.Lstat(srv.Dir())) }()
	if err := <-done; err == nil {
		t.Error("the FIFO was read")
	}
	if err := <-behind; !isLost(err) {
		t.Errorf("what waits behind it: %v; it is to be sent again on another channel", err)
	}
}

// A program opens it, and waits.
func TestNamesGetAroundAnOpeningThatTakesLong(t *testing.T) {
	t.Run("channels are to be had", func(t *testing.T) { namesGetAround(t, 0) })
	t.Run("bulk data has them all", func(t *testing.T) { namesGetAround(t, 2) })
	t.Run("bulk data has the only other one", func(t *testing.T) { namesGetAround(t, 1) })
}

// namesGetAround has that happen on a connection whose server grants no more channels than the one of names and so many for
// bulk data, all of which are open; 0 is no bound, and none is.
func namesGetAround(t *testing.T, bulk int) {
	sooner(t, 200*time.Millisecond, time.Hour)
	tap := sftptest.NewTap()
	options := []sftptest.Option{sftptest.WithTap(tap)}
	if bulk > 0 {
		options = append(options, sftptest.MaxChannels(1+bulk))
	}
	srv := sftptest.New(t, options...)
	c := connect(t, srv)
	l := c.allLinks()[0]
	l.grow(bulk)
	eventually(t, "the channels are open", func() bool { return len(l.bulkChannels()) == bulk })
	path := fifo(t, srv)
	type result struct {
		f   *File
		err error
	}
	opened, behind := make(chan result, 1), make(chan error, 1)
	go func() {
		f, _, err := c.Open(limited(t), OpenRequest{Path: at(path), Pflags: rd})
		opened <- result{f, err}
	}()
	stuck := c.newest.Load()
	eventually(t, "the server is at the opening", func() bool { return tap.Count("OPEN") == 1 && stuck.Stall().Opening })
	go func() {
		_, err := c.Lstat(limited(t), srv.Dir())
		behind <- err
	}()
	eventually(t, "there is another channel of names", func() bool { return c.newest.Load() != stuck })
	if _, err := c.Lstat(limited(t), srv.Dir()); err != nil {
		t.Errorf("a look-up: %v", err)
	}
	select {
	case r := <-opened:
		t.Fatalf("the opening did not wait for a writer: %v", r.err)
	default:
	}
	w, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r := <-opened
	if r.err != nil {
		t.Fatalf("the opening, in the end: %v", r.err)
	}
	defer r.f.Close()
	if err := <-behind; err != nil {
		t.Errorf("what was asked behind it: %v", err)
	}
	eventually(t, "the channel that was stuck carries data", func() bool {
		return slices.ContainsFunc(l.bulkChannels(), func(ch *channel) bool { return ch.s == stuck })
	})
	if _, err := r.f.Stat(limited(t)); err != nil {
		t.Errorf("the file that was opened on it: %v", err)
	}
	if n := srv.Dials(); n != 1 || c.Status().Reconnects != 0 {
		t.Errorf("%d dials", n)
	}
}

// Who reads or writes a file over the only channel for bulk data would have to go on over the one that is stuck.
func TestTheLastChannelForBulkDataIsGivenUpOnlyWhereNoFileIsOpenOnIt(t *testing.T) {
	srv := sftptest.New(t, sftptest.MaxChannels(2))
	c := connect(t, srv)
	l := c.allLinks()[0]
	l.grow(1)
	eventually(t, "the channel is open", func() bool { return len(l.bulkChannels()) == 1 })
	f := openFile(t, c, file(t, srv, "f", []byte("x")), rd)
	eventually(t, "the file is open on it", func() bool { return f.spread(l.bulkChannels()[0], reading) })
	if l.yield(true) {
		t.Error("given up although a file is open on it")
	}
	f.Close()
	if l.yield(false) {
		t.Error("given up for something else than names")
	}
	eventually(t, "it is given up", func() bool { return l.yield(true) })
}

// What was stuck comes to its end, and the server has a place again.
func TestBulkDataHasAChannelOfItsOwnAgainAfterOneWasGivenUpForNames(t *testing.T) {
	sooner(t, 200*time.Millisecond, 200*time.Millisecond)
	tap := sftptest.NewTap()
	srv := sftptest.New(t, sftptest.WithTap(tap), sftptest.MaxChannels(2))
	c := connect(t, srv)
	l := c.allLinks()[0]
	l.grow(1)
	eventually(t, "the channel is open", func() bool { return len(l.bulkChannels()) == 1 })
	path := fifo(t, srv)
	ctx, cancel := context.WithCancel(limited(t))
	opened, behind := make(chan error, 1), make(chan error, 1)
	go func() {
		_, _, err := c.Open(ctx, OpenRequest{Path: at(path), Pflags: rd})
		opened <- err
	}()
	stuck := c.newest.Load()
	eventually(t, "the server is at the opening", func() bool { return tap.Count("OPEN") == 1 && stuck.Stall().Opening })
	go func() {
		_, err := c.Lstat(limited(t), srv.Dir())
		behind <- err
	}()
	eventually(t, "there is another channel of names", func() bool { return c.newest.Load() != stuck })
	cancel()
	if err := <-opened; err == nil {
		t.Error("the FIFO was opened")
	}
	if err := <-behind; err != nil {
		t.Errorf("what was asked behind it: %v", err)
	}
	<-stuck.Done()
	eventually(t, "there is a channel for bulk data again", func() bool {
		l.mu.Lock()
		l.openAfter = time.Time{} // the test has no time to wait after a refusal
		l.mu.Unlock()
		l.grow(1)
		return len(l.bulkChannels()) == 1
	})
}
