package sftpconn

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
)

// While the channels are being opened on which a file will be read, what is asked for waits for them, and not behind the
// window of the one that is open.
func TestNoMoreIsAskedForOnAChannelThanItsWindowHolds(t *testing.T) {
	tap, srv, c := tapped(t)
	want := content(3, 24<<20)
	f := openFile(t, c, file(t, srv, "f", want), rd)
	tap.SetDelay(30 * time.Millisecond)
	var inFlight, most [32]atomic.Int64 // bytes of READs, by channel
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		n := inFlight[p.Channel].Add(readSize(p))
		for m := most[p.Channel].Load(); n > m && !most[p.Channel].CompareAndSwap(m, n); m = most[p.Channel].Load() {
		}
		return sftptest.Pass()
	})
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Request != nil {
			inFlight[p.Channel].Add(-readSize(*p.Request))
		}
		return sftptest.Pass()
	})
	got, err := readAll(limited(t), f, len(want), 96)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("read differs at %d: %v", firstDifference(got, want), err)
	}
	used := 0
	for i := range most {
		n := most[i].Load()
		if n > 0 {
			used++
		}
		// The file's bytes in flight are within what its channels carry together, and each request goes to the one with
		// the least: that can be a request more than its part.
		if n > carried+maxPiece {
			t.Errorf("%d KiB were in flight on channel %d, which carries %d", n>>10, i, carried>>10)
		}
	}
	if used < 2 { // a busy test machine may be too slow for more to be wanted
		t.Errorf("%d channels were used", used)
	}
}

// Who gives up waiting for room leaves none behind that is taken.
func TestWhoGivesUpWaitingTakesNoRoom(t *testing.T) {
	srv := sftptest.New(t)
	c := connect(t, srv)
	f := openFile(t, c, file(t, srv, "f", content(4, 100)), rd)
	ask := want{n: carried}
	if err := f.takeRoom(limited(t), reading, ask); err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(limited(t))
	cancel()
	for range 3 {
		if err := f.takeRoom(gone, reading, ask); !errors.Is(err, context.Canceled) {
			t.Fatalf("there is no room, and it says %v", err)
		}
	}
	f.giveRoom(reading, carried)
	if err := f.takeRoom(limited(t), reading, ask); err != nil {
		t.Error(err)
	}
	f.giveRoom(reading, carried)
	if n, err := f.ReadAt(limited(t), make([]byte, 10), 0); n != 10 || err != nil {
		t.Errorf("read %d, %v", n, err)
	}
}
