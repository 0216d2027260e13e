package sftpconn

import (
	"bytes"
	"context"
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

func openWhole(t *testing.T, c *Conn, path string, size int) *File {
	t.Helper()
	f, _, err := c.Open(limited(t), OpenRequest{Path: at(path), Pflags: rd, Size: int64(size)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

// closed waits for the answers to what nobody waits for.
func closed(t *testing.T, c *Conn) {
	t.Helper()
	eventually(t, "all is answered", func() bool { return c.allLinks()[0].inFlight() == 0 })
}

func TestASmallFileIsReadInTheFlightOfItsOpening(t *testing.T) {
	tap, srv, c := tapped(t)
	tap.SetDelay(20 * time.Millisecond)
	want := content(1, 5000)
	for i := range 3 {
		path := file(t, srv, "f", want)
		tap.Reset()
		f := openWhole(t, c, path, len(want))
		if !bytes.Equal(f.Head(), want) {
			t.Errorf("opening %d came with %d of %d bytes", i, len(f.Head()), len(want))
		}
		if n := tap.Flights(); n != 1 {
			t.Errorf("opening %d took %d flights", i, n)
		}
		f.Close()
		closed(t, c)
	}
}

func TestAnOpeningThatFailsBehindItsOpenLeavesNothingInFlight(t *testing.T) {
	tap, srv, c := tapped(t)
	path := file(t, srv, "f", content(1, 5000))
	read := make(chan struct{})
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "READ" {
			close(read)
		}
		return sftptest.Pass()
	})
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Request == nil || p.Request.Name != "LSTAT" {
			return sftptest.Pass()
		}
		select {
		case <-read: // else it might be given up before it is sent
		case <-time.After(patience):
		}
		return sftptest.Answer(session.StatusPermissionDenied, "no")
	})
	if _, _, err := c.Open(limited(t), OpenRequest{Path: at(path), Pflags: rd, Size: 5000}); !refused(err) {
		t.Fatal(err)
	}
	if tap.Count("READ") != 1 {
		t.Fatal("nothing was read with the opening")
	}
	closed(t, c)
	p := &c.allLinks()[0].read
	eventually(t, "the line has all of its room", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.inFlight == 0
	})
}

// The server keeps handles that we think are closed. So those that it gives out are not those foreseen, and what is asked of
// the foreseen ones is answered with the bytes of another file.
func keepHandles(tap *sftptest.Tap) {
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "CLOSE" {
			return sftptest.Answer(session.StatusOK, "")
		}
		return sftptest.Pass()
	})
}

func TestWhatCameWithAnOpeningIsNotOfAnotherFile(t *testing.T) {
	tap, srv, c := tapped(t)
	keepHandles(tap)
	one, two := content(1, 5000), content(2, 5000)
	f := openWhole(t, c, file(t, srv, "one", one), len(one))
	if !bytes.Equal(f.Head(), one) {
		t.Fatal("the handle of the first file was not foreseen")
	}
	f.Close()
	closed(t, c)
	tap.Reset()
	g := openWhole(t, c, file(t, srv, "two", two), len(two))
	if tap.Count("READ") != 1 {
		t.Fatal("nothing was read with the opening of the second")
	}
	if h := g.Head(); h != nil && !bytes.Equal(h, two) {
		t.Errorf("%d bytes came with it, and are of another file", len(h))
	}
	if got, err := readAll(limited(t), g, len(two), 1); err != nil || !bytes.Equal(got, two) {
		t.Errorf("it reads wrong: %v", err)
	}
}

func TestWhatIsReadEarlyOverFurtherChannelsIsNotOfAnotherFile(t *testing.T) {
	tap, srv, c := tapped(t)
	tap.SetDelay(20 * time.Millisecond)
	keepHandles(tap)
	one, two := content(1, 16<<20), content(2, 16<<20)
	for i, want := range [][]byte{one, two} {
		f := openWhole(t, c, file(t, srv, []string{"one", "two"}[i], want), len(want))
		untilSpread(t, c, "the file is read over several channels", func() bool {
			got, err := readAll(limited(t), f, len(want), 64)
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("file %d reads wrong, first at %d: %v", i, firstDifference(got, want), err)
			}
			return spreadOver(f, reading) > 1
		})
		f.Close()
	}
}

func TestReadsGoOutBehindAnOpeningThatIsNotAnswered(t *testing.T) {
	tap, srv, c := tapped(t)
	want := content(1, 32<<20)
	f := openWhole(t, c, file(t, srv, "f", want), len(want))
	tap.SetDelay(20 * time.Millisecond)
	var early atomic.Int32
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "HANDLE" {
			return sftptest.Hold()
		}
		return sftptest.Pass()
	})
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "READ" && p.Channel > 1 {
			early.Add(1)
		}
		return sftptest.Pass()
	})
	done := make(chan error)
	go func() {
		got, err := readAll(limited(t), f, len(want), 64)
		if err == nil && !bytes.Equal(got, want) {
			err = errors.New("it reads wrong")
		}
		done <- err
	}()
	eventually(t, "something is read over a further channel", func() bool { return early.Load() > 0 })
	tap.OnReply(nil)
	tap.Release()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsReadEarlyIsNotTakenUnprovenWhenNobodyWaitsAnyMore(t *testing.T) {
	tap, srv, c := tapped(t)
	f := openFile(t, c, file(t, srv, "f", []byte("bytes")), rd)
	ch := bulkChannel(t, c)
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "HANDLE" {
			return sftptest.Hold()
		}
		return sftptest.Pass()
	})
	defer tap.Release()
	f.mu.Lock()
	h := f.stripe(ch, reading)
	f.mu.Unlock()
	eventually(t, "READs may go out behind the opening", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return h.early != nil
	})
	why := errors.New("closed")
	ctx, cancel := context.WithCancelCause(limited(t))
	b := make([]byte, 5)
	ticket, err := f.ticket(ctx, reading, want{n: len(b)})
	if err != nil || !ticket.early {
		t.Fatalf("%+v, %v", ticket, err)
	}
	call := f.request(reading, ticket, b, 0, len(b))
	<-call.Done()
	cancel(why)
	if n, err := f.move(ctx, reading, b, 0, ticket, call); n != 0 || !errors.Is(err, why) {
		t.Errorf("%d bytes, of which nobody knows the file: %v", n, err)
	}
}

// A file that was changed a moment before it was opened can't be told from one that replaces it, so what is read over a
// further channel would be thrown away.
func TestAFreshFileIsNotReadEarlyInVain(t *testing.T) {
	tap, srv, c := tapped(t)
	tap.SetDelay(20 * time.Millisecond)
	want := content(1, 16<<20)
	path := file(t, srv, "f", want)
	now := time.Now()
	if err := os.Chtimes(path, now, now); err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		asked.Add(readSize(p))
		return sftptest.Pass()
	})
	f := openWhole(t, c, path, len(want))
	got, err := readAll(limited(t), f, len(want), 64)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("it reads wrong: %v", err)
	}
	if n, most := asked.Load(), int64(len(want)+2*f.MaxRead()); n > most { // and its beginning, and its end
		t.Errorf("%d bytes were asked for, of a file with %d", n, len(want))
	}
}
