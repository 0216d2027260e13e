package sftpconn

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
	"sshmount/sftpconn/transport"
)

// A request at which the connection ends each time must end itself some day; and it must be the only one.
func TestARequestThatEndsEverySessionIsGivenUp(t *testing.T) {
	for _, row := range []struct {
		request string
		bad     bool // the answer breaks the protocol, instead of being none
		most    int  // connections that it may cost
		work    func(ctx context.Context, c *Conn, f *File, path string) error
	}{
		{"STAT", false, lossesMost, func(ctx context.Context, c *Conn, _ *File, path string) error {
			_, err := c.Stat(ctx, path)
			return err
		}},
		{"MKDIR", false, lossesMost, func(ctx context.Context, c *Conn, _ *File, path string) error {
			return second(c.Mkdir(ctx, path+"-d", 0o755))
		}},
		{"OPEN", false, lossesMost, func(ctx context.Context, c *Conn, _ *File, path string) error {
			_, _, err := c.Open(ctx, OpenRequest{Path: at(path), Pflags: rd})
			return err
		}},
		{"READDIR", true, 2, func(ctx context.Context, c *Conn, _ *File, path string) error {
			return c.List(ctx, path[:strings.LastIndex(path, "/")], func([]Entry, bool) error { return nil })
		}},
		{"READ", false, lossesFile, func(ctx context.Context, _ *Conn, f *File, _ string) error {
			_, err := f.ReadAt(ctx, make([]byte, 10), 0)
			return err
		}},
		{"WRITE", false, lossesFile, func(ctx context.Context, _ *Conn, f *File, _ string) error {
			return f.WriteSetstat(ctx, []byte("x"), 0, Attr{Flags: session.HasTimes})
		}},
		// The opening anew asks it, too, and has a count of its own.
		{"FSTAT", false, lossesFile + 2, func(ctx context.Context, _ *Conn, f *File, _ string) error {
			_, err := f.Stat(ctx)
			return err
		}},
	} {
		t.Run(row.request, func(t *testing.T) {
			t.Parallel()
			tap := sftptest.NewTap()
			srv := sftptest.New(t, sftptest.WithTap(tap))
			var log logText
			c := connect(t, srv, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
			good, path := file(t, srv, "good", nil), file(t, srv, "f", []byte("0123456789"))
			f := openFile(t, c, path, rd|wr)
			var ends atomic.Int32
			var asking sync.RWMutex // held for reading by the other program while it asks
			tap.OnReply(func(p sftptest.Packet) sftptest.Action {
				if p.Request == nil || p.Request.Name != row.request {
					return sftptest.Pass()
				}
				ends.Add(1)
				if row.bad {
					return sftptest.ReplaceRaw([]byte{0, 4, 0x93, 0xe0, 104}) // of 300,000 bytes
				}
				go func() {
					// No answer to another program is to be lost on its way: then that request would count as the deadly one.
					asking.Lock()
					defer asking.Unlock()
					srv.Cut()
				}()
				return sftptest.Drop()
			})
			ctx, cancel := context.WithCancel(limited(t))
			var others sync.WaitGroup
			others.Go(func() {
				for ctx.Err() == nil {
					asking.RLock()
					_, err := c.Lstat(ctx, good)
					asking.RUnlock()
					if err != nil && ctx.Err() == nil {
						t.Errorf("a request of another program: %v", err)
					}
					time.Sleep(time.Millisecond)
				}
			})
			err := row.work(ctx, c, f, path)
			cancel()
			others.Wait()
			if !errors.Is(err, ErrEndsSession) || isLost(err) {
				t.Errorf("after %d lost connections: %v", ends.Load(), err)
			}
			if n := srv.Dials() - 1; n > row.most {
				t.Errorf("it has cost %d connections, %d at most are wanted", n, row.most)
			}
			if !log.has("asked this") || !log.has(path[:strings.LastIndex(path, "/")]) {
				t.Errorf("the log does not say which request it was: %s", &log)
			}
		})
	}
}

// Who waits for the opening anew sees the end of its session and that of the connection in either order.
func TestEachLossOfAnOpeningAnewCounts(t *testing.T) {
	t.Parallel()
	tap := sftptest.NewTap()
	srv := sftptest.New(t, sftptest.WithTap(tap))
	c := connect(t, srv)
	f := openFile(t, c, file(t, srv, "f", []byte("x")), rd)
	ctx := limited(t)
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Request == nil || p.Request.Name != "FSTAT" {
			return sftptest.Pass()
		}
		go func() {
			f.mu.Lock() // so that the opening does not end before the connection is known to
			defer f.mu.Unlock()
			lost := c.whenChanged()
			srv.Cut()
			select {
			case <-lost:
			case <-ctx.Done():
			}
		}()
		return sftptest.Drop()
	})
	srv.Cut()
	if _, err := f.ReadAt(ctx, make([]byte, 1), 0); !errors.Is(err, ErrEndsSession) {
		t.Error(err)
	}
	if n := srv.Dials() - 2; n > lossesFile {
		t.Errorf("it has cost %d connections, %d at most are wanted", n, lossesFile)
	}
}

// Which of those on their way ended it can't be told.
func TestGuessesAreNotSentAgainWhenTheSessionEnds(t *testing.T) {
	t.Parallel()
	tap := sftptest.NewTap()
	srv := sftptest.New(t, sftptest.WithTap(tap))
	c := connect(t, srv)
	path := file(t, srv, "f", nil)
	var asked atomic.Int32
	const guesses = 3
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		switch {
		case p.Name != "OPENDIR" && p.Name != "OPEN":
			return sftptest.Pass()
		case asked.Add(1) == guesses:
			go srv.Cut()
		}
		return sftptest.Drop()
	})
	ctx := Guess(limited(t))
	var all sync.WaitGroup
	for range guesses - 1 {
		all.Go(func() {
			if err := c.List(ctx, srv.Dir(), func([]Entry, bool) error { return nil }); !errors.Is(err, ErrEndsSession) {
				t.Errorf("a listing: %v", err)
			}
		})
	}
	all.Go(func() {
		if _, _, err := c.ReadSmall(ctx, path, 100); !errors.Is(err, ErrEndsSession) {
			t.Errorf("a file: %v", err)
		}
	})
	all.Wait()
	if n := asked.Load(); n != guesses {
		t.Errorf("%d guesses were sent %d times", guesses, n)
	}
	if _, err := c.Lstat(limited(t), path); err != nil || srv.Dials() != 2 {
		t.Errorf("then: %v, %d connections", err, srv.Dials())
	}
}

// A server that dies of each WRITE behind the limit of the size of files must not be tried with one after the other.
func TestWritesBehindOneThatEndsEverySessionAreNotSent(t *testing.T) {
	t.Parallel()
	const limit, size = 1 << 20, 4 << 20
	tap := sftptest.NewTap()
	srv := sftptest.New(t, sftptest.WithTap(tap))
	f := openFile(t, connect(t, srv), file(t, srv, "f", nil), rd|wr)
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "WRITE" && p.Offset() >= limit {
			go srv.Cut()
			return sftptest.Drop()
		}
		return sftptest.Pass()
	})
	ctx := limited(t)
	for off := int64(0); off < size; off += 128 << 10 {
		err := f.WriteAt(ctx, make([]byte, 128<<10), off)
		if behind := off >= limit; errors.Is(err, ErrEndsSession) != behind {
			t.Errorf("at %d KiB: %v", off>>10, err)
		}
	}
	if n := srv.Dials() - 1; n > lossesFile {
		t.Errorf("it has cost %d connections, %d at most are wanted", n, lossesFile)
	}
}

// A line that falls silent again and again is no fault of the request that waits for its answer, young as that may be.
func TestSilenceIsNoFaultOfARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dials atomic.Int32
		c := underStub(t, func(context.Context) (transport.Transport, error) {
			dials.Add(1)
			line := newStub(false)
			time.AfterFunc(time.Second, line.freeze)
			return line, nil
		}, func(o *Options) { o.AliveInterval, o.AliveCountMax = time.Second, 2 })
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		_, err := c.Lstat(ctx, "/f")
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after %d connections: %v", dials.Load(), err)
		}
		if n := dials.Load(); n <= 2*lossesMost {
			t.Errorf("only %d connections in that time", n)
		}
	})
}
