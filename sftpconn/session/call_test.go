package session

import (
	"io"
	"math"
	"sync"
	"testing"

	"sshmount/sftpconn/sftptest"
)

func TestAbandonedRequests(t *testing.T) {
	tap := sftptest.NewTap()
	srv := sftptest.New(t, sftptest.WithTap(tap))
	s := connect(t, srv)
	f := must(t, s.OpenFile("f", OpenRead|OpenWrite|OpenCreate, Attr{})).Handle()
	must(t, s.Write(f, 0, pattern(100_000)))
	limits(t, s)

	// Sent and unanswered: the payload is thrown away, and the session goes on.
	tap.OnReply(func(sftptest.Packet) sftptest.Action { return sftptest.Hold() })
	dst := make([]byte, 100_000)
	read := s.Read(f, 0, dst)
	if !tap.WaitHeld(1, deadline) {
		t.Fatal("the request did not arrive")
	}
	if !read.Abandon() {
		t.Fatal("an unanswered READ holds its buffer")
	}
	clear(dst)
	tap.OnReply(nil)
	tap.Release()
	if err := outcome(t, read); err != nil || read.N() != len(dst) {
		t.Errorf("given up: %v, %d bytes", err, read.N())
	}
	for _, b := range dst {
		if b != 0 {
			t.Fatal("the buffer was written to after it was given up")
		}
	}

	// Not sent yet: it never is.
	tap.Reset()
	entered, gate := make(chan struct{}), make(chan struct{})
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "STAT" {
			close(entered)
			<-gate // the writer stands still
		}
		return sftptest.Pass()
	})
	blocker := s.Stat(".")
	<-entered
	unsent := s.Mkdir("d", Attr{})
	last := s.Lstat(".")
	for range 2 { // the second time changes nothing
		if !unsent.Abandon() {
			t.Error("a queued request is held")
		}
	}
	if err := outcome(t, unsent); err != ErrAbandoned {
		t.Errorf("given up before it was sent: %v", err)
	}
	close(gate)
	must(t, blocker)
	must(t, last)
	if n := tap.Count("MKDIR"); n != 0 {
		t.Error("a request that was given up was sent")
	}
}

func TestIDsAreUniqueAmongThoseInFlight(t *testing.T) {
	tap := sftptest.NewTap()
	s, _ := real(t, sftptest.WithTap(tap))
	limits(t, s)
	tap.OnReply(func(sftptest.Packet) sftptest.Action { return sftptest.Hold() })
	first := []*Call{s.Lstat("."), s.Lstat("."), s.Lstat(".")}
	s.mu.Lock()
	s.lastID = math.MaxUint32 - 1 // soon it begins again, and meets the three
	s.mu.Unlock()
	seen := make(map[uint32]bool)
	calls := first
	for range 10 {
		calls = append(calls, s.Lstat("."))
	}
	if !tap.WaitHeld(len(calls), deadline) {
		t.Fatal("the requests did not arrive")
	}
	for _, p := range tap.Held() {
		if seen[p.ID] {
			t.Errorf("id %d is used twice", p.ID)
		}
		seen[p.ID] = true
	}
	tap.Release()
	for _, c := range calls {
		must(t, c)
	}
}

// earlyChannel answers a WRITE before it has taken all of it.
type earlyChannel struct {
	replies *io.PipeReader
	answer  *io.PipeWriter
	entered chan struct{}
	gate    chan struct{}
	writes  int
	once    sync.Once
}

func (c *earlyChannel) Read(b []byte) (int, error) { return c.replies.Read(b) }
func (c *earlyChannel) Remarks() string            { return "" }

func (c *earlyChannel) Write(b []byte) (int, error) {
	c.writes++
	if c.writes == 3 { // INIT, the head of the WRITE, its rest
		close(c.entered)
		<-c.gate
		sum := byte(0)
		for _, v := range b { // the race detector sees who else touches it
			sum += v
		}
	}
	return len(b), nil
}

func (c *earlyChannel) Close() error {
	c.once.Do(func() {
		c.answer.Close()
		c.replies.Close()
	})
	return nil
}

func TestAnsweredWriteKeepsItsBufferUntilItIsWritten(t *testing.T) {
	r, w := io.Pipe()
	ch := &earlyChannel{replies: r, answer: w, entered: make(chan struct{}), gate: make(chan struct{})}
	go w.Write([]byte{0, 0, 0, 5, 2, 0, 0, 0, 3})
	s, err := Open(within(t), ch, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	data := make([]byte, 100_000)
	c := s.Write("h", 0, data)
	<-ch.entered
	if c.Abandon() {
		t.Error("the buffer is called free while it is being written")
	}
	if _, err := w.Write([]byte{0, 0, 0, 17, 101, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	// A second reply proves that the first has been dealt with; it ends the session, as nobody asked.
	if _, err := w.Write([]byte{0, 0, 0, 5, 101, 0, 0, 0, 9}); err != nil {
		t.Fatal(err)
	}
	<-s.Done()
	if ended(c) {
		t.Error("the call ended while its buffer was in use")
	}
	close(ch.gate)
	must(t, c)
	clear(data)
}
