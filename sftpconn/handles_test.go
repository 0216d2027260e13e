package sftpconn

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"sshmount/sftpconn/sftptest"
)

// handleWatch notes what is asked of handles that are not open: the server gives
// their ids to other files. While an OPEN is under way a handle may be foreseen, and looked at.
type handleWatch struct {
	mu      sync.Mutex // guards what follows
	open    map[handleID]bool
	opening map[int]int // OPENs that are not answered, by channel
	wrong   []string
	closes  int
}

type handleID struct {
	channel int
	id      string
}

func watchHandles(tap *sftptest.Tap) *handleWatch {
	w := &handleWatch{open: map[handleID]bool{}, opening: map[int]int{}}
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		w.mu.Lock()
		defer w.mu.Unlock()
		if p.Name == "HANDLE" {
			w.open[handleID{p.Channel, string(p.Body[4:])}] = true
		}
		if p.Request != nil && p.Request.Name == "OPEN" {
			w.opening[p.Channel]--
		}
		return sftptest.Pass()
	})
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		w.mu.Lock()
		defer w.mu.Unlock()
		switch p.Name {
		case "OPEN":
			w.opening[p.Channel]++
		case "READ", "WRITE", "FSTAT", "FSETSTAT", "CLOSE":
			h := handleID{p.Channel, p.Text}
			foreseen := (p.Name == "READ" || p.Name == "FSTAT") && w.opening[p.Channel] > 0
			if !w.open[h] && !foreseen {
				w.wrong = append(w.wrong, p.String())
			}
			if p.Name == "CLOSE" {
				w.closes++
				delete(w.open, h)
			}
		}
		return sftptest.Pass()
	})
	return w
}

// check fails the test where anything was asked of a handle that was not open, or
// more or fewer stay open than there should be: nobody waits for a CLOSE.
func (w *handleWatch) check(t *testing.T, open int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d handles are open on the server", open), func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.open) == open
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.wrong) > 0 {
		t.Errorf("sent on handles that were closed before: %q", w.wrong)
	}
}

// A server gives the id of a closed handle to the next file.
func TestAFileClosedWhileItIsSpreadLeavesOtherFilesAlone(t *testing.T) {
	tap := sftptest.NewTap()
	srv := sftptest.New(t, sftptest.WithTap(tap))
	handles := watchHandles(tap)
	c := connect(t, srv)
	ctx := limited(t)
	path := file(t, srv, "f", content(1, 1<<20))
	l := c.allLinks()[0]
	l.grow(1)
	eventually(t, "a bulk channel", func() bool { return len(l.bulkChannels()) == 1 })

	var armed atomic.Bool
	entered, release := make(chan struct{}), make(chan struct{})
	f, _, err := c.Open(ctx, OpenRequest{Pflags: rd, Path: func() string {
		if armed.CompareAndSwap(true, false) {
			close(entered)
			<-release
		}
		return path
	}})
	if err != nil {
		t.Fatal(err)
	}
	armed.Store(true)
	for off := 0; off < 1<<20; {
		n, err := f.ReadAt(ctx, make([]byte, 255<<10), int64(off))
		if err != nil {
			t.Fatal(err)
		}
		off += n
	}
	<-entered // its opening on the further channel has begun
	f.mu.Lock()
	striped := f.handles[l.bulkChannels()[0]]
	f.mu.Unlock()
	f.Close()
	victim := filepath.Join(srv.Dir(), "victim")
	g := openFile(t, c, victim, rd|wr|cre)
	close(release)
	<-striped.done
	other := file(t, srv, "other", []byte("OTHER'S BYTES"))
	openFile(t, c, other, rd|wr)
	if err := g.WriteAt(ctx, []byte("VICTIM"), 0); err != nil {
		t.Errorf("a write to a file that nobody closed: %v", err)
	}
	sameAs(t, other, []byte("OTHER'S BYTES"))
	if b, _ := os.ReadFile(victim); string(b) != "VICTIM" {
		t.Errorf("the acknowledged write is not in its file: %q", b)
	}
	handles.check(t, 2)
}

func TestAReadThatWaitsForTheLineWhenItsFileIsClosedIsNotSent(t *testing.T) {
	tap := sftptest.NewTap()
	srv := sftptest.New(t, sftptest.WithTap(tap))
	handles := watchHandles(tap)
	c := connect(t, srv)
	ctx := limited(t)
	l := c.allLinks()[0]
	l.grow(2)
	eventually(t, "bulk channels", func() bool { return len(l.bulkChannels()) == 2 })
	f := openFile(t, c, file(t, srv, "f", content(1, 4<<20)), rd)
	first, second := l.bulkChannels()[0], l.bulkChannels()[1]
	for _, ch := range []*channel{first, second} {
		f.mu.Lock()
		h := f.stripe(ch, reading)
		f.mu.Unlock()
		if <-h.done; h.err != nil {
			t.Fatal(h.err)
		}
	}
	setInFlight := func(n int64) {
		l.read.mu.Lock()
		l.read.inFlight = n
		l.read.mu.Unlock()
	}
	setInFlight(1 << 40) // the line is full
	second.load[reading].Add(1 << 20)
	done := make(chan error, 1)
	go func() { _, err := f.ReadAt(ctx, make([]byte, 1000), 0); done <- err }()
	eventually(t, "the read waits", func() bool {
		l.read.mu.Lock()
		defer l.read.mu.Unlock()
		return l.read.waiting > 0
	})
	f.Close()
	first.load[reading].Add(2 << 20) // by now the other channel is the better one
	tap.Reset()
	setInFlight(0)
	l.read.pump()
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("a read of a closed file: %v", err)
	}
	if _, err := c.Lstat(ctx, srv.Dir()); err != nil {
		t.Error(err)
	}
	if n := tap.Count("READ"); n > 0 {
		t.Errorf("%d READs after the file was closed", n)
	}
	eventually(t, "each handle is closed", func() bool {
		handles.mu.Lock()
		defer handles.mu.Unlock()
		return handles.closes == 3
	})
	handles.check(t, 0)
}
