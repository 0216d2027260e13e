package sftpconn

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
)

func TestALostChannelIsReplacedOnTheSameConnection(t *testing.T) {
	tap, srv, c := tapped(t)
	ctx := limited(t)
	want := content(7, 6<<20)
	f := openFile(t, c, file(t, srv, "f", want), rd)
	tap.SetDelay(20 * time.Millisecond)
	var broken atomic.Int32
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		// A bulk channel that breaks the protocol is ended, and that alone.
		if p.Channel == 2 && p.Name == "DATA" && broken.CompareAndSwap(0, 1) {
			return sftptest.ReplaceRaw([]byte{0xff, 0xff, 0xff, 0xff})
		}
		return sftptest.Pass()
	})
	untilSpread(t, c, "a bulk channel is broken", func() bool {
		got, err := readAll(ctx, f, len(want), 32)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("read differs at %d: %v", firstDifference(got, want), err)
		}
		return broken.Load() > 0
	})
	if c.Status().Reconnects != 0 || srv.Dials() != 1 {
		t.Errorf("%d dials for one lost channel", srv.Dials())
	}
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Channel == 1 && broken.CompareAndSwap(1, 2) {
			return sftptest.ReplaceRaw([]byte{0xff, 0xff, 0xff, 0xff})
		}
		return sftptest.Pass()
	})
	if _, err := c.Lstat(ctx, srv.Dir()); err != nil {
		t.Error(err)
	}
	if n, err := f.ReadAt(ctx, make([]byte, 10), 0); n != 10 || err != nil {
		t.Errorf("read %d, %v", n, err)
	}
	if srv.Dials() != 1 {
		t.Errorf("%d dials for a lost channel of names", srv.Dials())
	}
}

func TestRefusedChannelsAreLivedWith(t *testing.T) {
	for n := 1; n <= 3; n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			tap := sftptest.NewTap()
			srv := sftptest.New(t, sftptest.MaxChannels(n), sftptest.WithTap(tap))
			c := connect(t, srv)
			ctx := limited(t)
			tap.SetDelay(20 * time.Millisecond)
			want := content(8, 8<<20)
			f := openFile(t, c, file(t, srv, "f", want), rd)
			got, err := readAll(ctx, f, len(want), 32)
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("read differs at %d: %v", firstDifference(got, want), err)
			}
			path := filepath.Join(srv.Dir(), "g")
			g := openFile(t, c, path, wr|cre)
			if err := writeAll(ctx, g, want, 32); err != nil {
				t.Fatal(err)
			}
			sameAs(t, path, want)
			if s := c.Status(); s.Channels > n || s.Reconnects != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestFurtherConnectionsCarryBulkData(t *testing.T) {
	tap := sftptest.NewTap()
	srv := sftptest.New(t, sftptest.WithTap(tap))
	c := connect(t, srv, func(o *Options) { o.MaxConns, o.MaxChannels = 3, 2 })
	ctx := limited(t)
	tap.SetDelay(20 * time.Millisecond)
	want := content(9, 16<<20)
	f := openFile(t, c, file(t, srv, "f", want), rd)
	eventually(t, "there is a further connection", func() bool {
		got, err := readAll(ctx, f, len(want), 64)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("read differs at %d: %v", firstDifference(got, want), err)
		}
		return c.Status().Connections > 1
	})
	if n := c.Status().Connections; n > 3 {
		t.Errorf("%d connections", n)
	}
	srv.Cut()
	if got, err := readAll(ctx, f, len(want), 64); err != nil || !bytes.Equal(got, want) {
		t.Fatal("read after a cut", err)
	}
}

func TestAFurtherChannelNeverReadsAnotherFile(t *testing.T) {
	tap, srv, c := tapped(t)
	ctx := limited(t)
	tap.SetDelay(20 * time.Millisecond)
	want := content(10, 8<<20)
	path := file(t, srv, "f", want)
	f := openFile(t, c, path, rd)
	// Another file of the same size takes the name before the channels are open.
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	file(t, srv, "f", content(11, len(want)))
	os.Chtimes(path, time.Now(), time.Now().Add(-2*time.Hour))
	got, err := readAll(ctx, f, len(want), 32)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("read differs at %d: %v", firstDifference(got, want), err)
	}
}

// opensOnChannels has f written while no WRITE is answered, and wants it to be opened on n further channels meanwhile.
func opensOnChannels(t *testing.T, tap *sftptest.Tap, f *File, n int) {
	t.Helper()
	var opened [32]atomic.Bool
	count := func() (n int) {
		for i := range opened {
			if opened[i].Load() {
				n++
			}
		}
		return n
	}
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "OPEN" {
			opened[p.Channel].Store(true)
		}
		return sftptest.Pass()
	})
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Request != nil && p.Request.Name == "WRITE" {
			return sftptest.Hold()
		}
		return sftptest.Pass()
	})
	want := content(5, 24<<20)
	done := make(chan error, 1)
	go func() { done <- writeAll(limited(t), f, want, 96) }()
	for deadline := time.Now().Add(10 * time.Second); count() < n && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if got := count(); got < n {
		t.Errorf("the file was opened on %d channels before a WRITE was answered, want %d", got, n)
	}
	tap.OnReply(func(sftptest.Packet) sftptest.Action { return sftptest.Pass() })
	tap.Release()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Where the channels are there, a stream that begins is on all of them a round trip later: it does not wait for its first answers.
func TestAFileIsOpenedOnAllChannelsInTheFlightOfItsFirstWrites(t *testing.T) {
	tap, srv, c := tapped(t)
	l := c.allLinks()[0]
	l.grow(4)
	eventually(t, "four channels are there", func() bool { return len(l.bulkChannels()) == 4 })
	opensOnChannels(t, tap, openFile(t, c, filepath.Join(srv.Dir(), "new"), wr|cre), 4)
}

// On a line where a round trip is long a writer that fills windows at once has channels opened, and is opened on them as they
// come, before anything is answered.
func TestAWriterFarAwayHasItsChannelsOpenedBeforeTheFirstAnswer(t *testing.T) {
	tap := sftptest.NewTap()
	tap.SetDelay(distantRTT + 20*time.Millisecond)
	srv := sftptest.New(t, sftptest.WithTap(tap))
	c := connect(t, srv)
	opensOnChannels(t, tap, openFile(t, c, filepath.Join(srv.Dir(), "new"), wr|cre), 4)
}

// The login shell of the account reads much before it starts the SFTP server.
func TestAStreamDoesNotWaitForChannelsWhoseServerStartsSlowly(t *testing.T) {
	const start = 3 * time.Second
	tap := sftptest.NewTap()
	srv := sftptest.New(t, sftptest.WithTap(tap), sftptest.Command("/bin/sh", "-c", fmt.Sprintf("sleep %v; exec %s", start.Seconds(), sftptest.Program(t))))
	c := connect(t, srv)
	ctx := limited(t)
	want := content(8, 4<<20)
	path := file(t, srv, "f", want)
	tap.SetDelay(20 * time.Millisecond)
	for range 10 { // until the round trip is known
		if _, err := c.Lstat(ctx, path); err != nil {
			t.Fatal(err)
		}
	}
	f := openFile(t, c, path, rd)
	begun := time.Now()
	got, err := readAll(ctx, f, len(want), 32)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("read differs at %d: %v", firstDifference(got, want), err)
	}
	if took := time.Since(begun); took > start-start/3 {
		t.Errorf("%d bytes took %v", len(want), took)
	}
}

// inAnyOrder is a server that is not known to keep the order of what it is asked, nor to take bytes in any order.
func inAnyOrder(t *testing.T, change ...func(*Options)) (*sftptest.Tap, *sftptest.Server, *Conn) {
	t.Helper()
	tap := sftptest.NewTap()
	srv := sftptest.New(t, sftptest.Args("-P", "fsync"), sftptest.WithTap(tap))
	return tap, srv, connect(t, srv, change...)
}

func TestBytesGoThroughOneHandleToAServerThatMayWantThemInOrder(t *testing.T) {
	tap, srv, c := inAnyOrder(t)
	ctx := limited(t)
	var opened atomic.Int32
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "OPEN" {
			opened.Add(1)
		}
		return sftptest.Pass()
	})
	defer tap.OnRequest(nil)
	tap.SetDelay(20 * time.Millisecond)
	want := content(9, 8<<20)
	path := filepath.Join(srv.Dir(), "f")
	f := openFile(t, c, path, wr|cre)
	if err := writeAll(ctx, f, want, 32); err != nil {
		t.Fatal(err)
	}
	sameAs(t, path, want)
	if n := opened.Load(); n != 1 {
		t.Errorf("the file was opened %d times", n)
	}
}
