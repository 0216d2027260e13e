package sftpconn

import (
	"bytes"
	"context"
	"os"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
	"sshmount/sftpconn/transport"
)

// spreadFile opens a file and reads it until it is spread over several channels.
func spreadFile(t *testing.T, c *Conn, path string, want []byte) *File {
	f := openFile(t, c, path, rd)
	untilSpread(t, c, "the file is read over several channels", func() bool {
		got, err := readAll(limited(t), f, len(want), 32)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("read differs at %d: %v", firstDifference(got, want), err)
		}
		return spreadOver(f, reading) > 2
	})
	return f
}

// aged makes the channels of l old enough that their end is no reason to wait before the next.
func aged(l *link) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ch := range l.all() {
		ch.since = ch.since.Add(-idleChannel)
	}
}

func TestChannelsThatNobodyUsesAreClosed(t *testing.T) {
	srv, c := far(t)
	want := content(1, 8<<20)
	f := spreadFile(t, c, file(t, srv, "f", want), want) // and stays open
	l := c.allLinks()[0]
	l.copyChannel()
	eventually(t, "all channels are open and quiet", func() bool {
		return l.copyChannel() != nil && l.inFlight() == 0
	})
	busy := c.Status().Channels
	aged(l)
	now := time.Now()
	l.shrink(now)
	l.shrink(now.Add(idleChannel / 2))
	if n := c.Status().Channels; n != busy {
		t.Errorf("%d channels of %d after half a minute", n, busy)
	}
	l.shrink(now.Add(idleChannel))
	eventually(t, "that of names and one for bulk data are left", func() bool { return c.Status().Channels == 2 })
	if got, err := readAll(limited(t), f, len(want), 32); err != nil || !bytes.Equal(got, want) {
		t.Errorf("read differs at %d: %v", firstDifference(got, want), err)
	}
	untilSpread(t, c, "there are as many as needed again", func() bool {
		if _, err := readAll(limited(t), f, len(want), 32); err != nil {
			t.Fatal(err)
		}
		return len(l.bulkChannels()) > 2
	})
	if s := c.Status(); s.Reconnects != 0 {
		t.Errorf("%d reconnects", s.Reconnects)
	}
}

func TestMoreChannelsAreAskedForAfterSomeWereClosed(t *testing.T) {
	srv := sftptest.New(t, sftptest.MaxChannels(3))
	c := connect(t, srv)
	l := c.allLinks()[0]
	full := func() {
		t.Helper()
		eventually(t, "all are open that are granted", func() bool {
			l.grow(8)
			return len(l.bulkChannels()) == 2
		})
	}
	full()
	eventually(t, "they are quiet", func() bool { return l.inFlight() == 0 })
	aged(l)
	now := time.Now()
	l.shrink(now)
	l.shrink(now.Add(idleChannel))
	eventually(t, "one is left", func() bool { return len(l.bulkChannels()) == 1 })
	full()
}

// A file that was removed can't be opened again.
func TestAChannelWithTheOnlyHandleOfAFileStays(t *testing.T) {
	srv, c := far(t)
	want := content(2, 8<<20)
	path := file(t, srv, "f", want)
	f := spreadFile(t, c, path, want)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	l := c.allLinks()[0]
	l.mu.Lock()
	names := l.names
	l.mu.Unlock()
	names.s.Close()
	eventually(t, "there is another channel of names, and all are quiet", func() bool {
		_, err := c.Lstat(limited(t), srv.Dir())
		return err == nil && l.inFlight() == 0
	})
	for _, ch := range l.bulkChannels() {
		l.closeIdle(ch)
	}
	got, err := readAll(limited(t), f, len(want), 32)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("read differs at %d: %v", firstDifference(got, want), err)
	}
}

// sharedTransport is a connection that others use too.
type sharedTransport struct{ transport.Transport }

func (t sharedTransport) Info() transport.Info { return transport.Info{Shared: true} }

func TestASharedConnectionKeepsPlacesForOthers(t *testing.T) {
	srv := sftptest.New(t, sftptest.MaxChannels(10))
	c := connect(t, srv, func(o *Options) {
		o.Dial = func(ctx context.Context) (transport.Transport, error) {
			tr, err := srv.Dial(ctx)
			return sharedTransport{tr}, err
		}
	})
	l := c.allLinks()[0]
	l.copyChannel()
	l.grow(100)
	eventually(t, "no more are being opened", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.opening == 0
	})
	if n := c.Status().Channels; n > 6 {
		t.Errorf("%d of 10 channels are taken", n)
	}
}
