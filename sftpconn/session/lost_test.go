package session

import (
	"context"
	"errors"
	"io"
	"math"
	"sync"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
)

// lostCall waits for a call that has to end with LostError, and gives that.
func lostCall(t *testing.T, c *Call) *LostError {
	t.Helper()
	err := outcome(t, c)
	var lost *LostError
	if !errors.As(err, &lost) {
		t.Fatalf("the call ended with %v", err)
	}
	if errors.Is(err, io.EOF) {
		t.Errorf("%v can be taken for the end of a file", err)
	}
	return lost
}

func ended(c *Call) bool {
	select {
	case <-c.Done():
		return true
	default:
		return false
	}
}

func TestCutLine(t *testing.T) {
	tap := sftptest.NewTap()
	srv := sftptest.New(t, sftptest.WithTap(tap))
	s := connect(t, srv)
	limits(t, s)
	tap.OnReply(func(sftptest.Packet) sftptest.Action { return sftptest.Hold() })
	calls := []*Call{s.Lstat("."), s.Read("h", 0, make([]byte, 100)), s.Write("h", 0, make([]byte, 100))}
	if !tap.WaitHeld(len(calls), deadline) {
		t.Fatal("the requests did not arrive")
	}
	srv.Cut()
	for i, c := range calls {
		if lost := lostCall(t, c); !lost.Sent || lost.Age <= 0 || lost.First != (i == 0) || !errors.Is(lost, sftptest.ErrCut) {
			t.Errorf("request %d: sent %v, %v ago, first %v: %v", i, lost.Sent, lost.Age, lost.First, lost)
		}
	}
	select {
	case <-s.Done():
	case <-time.After(deadline):
		t.Fatal("the session is not done")
	}
	if s.Err() == nil {
		t.Error("the session has no error")
	}
	if lost := lostCall(t, s.Lstat(".")); lost.Sent || lost.First || lost.Age != 0 {
		t.Error("a request after the end is called sent")
	}
	if n := s.InFlight(); n != 0 {
		t.Errorf("%d in flight", n)
	}
}

func TestServerThatEndsLater(t *testing.T) {
	tap := sftptest.NewTap()
	s, _ := real(t, sftptest.WithTap(tap))
	tap.OnRequest(func(sftptest.Packet) sftptest.Action {
		return sftptest.ReplaceRaw([]byte{255, 255, 255, 255, 0}) // at this sftp-server gives up
	})
	lostCall(t, s.Lstat("."))
	select {
	case <-s.Done():
	case <-time.After(deadline):
		t.Fatal("the session is not done")
	}
	if err := s.Err(); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("%v", err)
	}
	lostCall(t, s.Lstat("."))
	if got := limits(t, s); got.MaxRead == 0 {
		t.Errorf("limits of a lost session: %+v", got)
	}
}

func TestCloseOnADeadLine(t *testing.T) {
	srv := sftptest.New(t)
	s := connect(t, srv)
	limits(t, s)
	srv.Freeze()
	stuck := s.Write("h", 0, make([]byte, 200_000)) // the writer can't go on with this one
	for end := time.Now().Add(deadline); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		held := stuck.held
		s.mu.Unlock()
		if held != 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the writer did not take the request")
		}
	}
	queued := s.Lstat(".")
	if s.InFlight() != 2 {
		t.Errorf("%d in flight", s.InFlight())
	}
	short, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if err := queued.Wait(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("wait on a dead line: %v", err)
	}
	s.Close()
	if lost := lostCall(t, stuck); !lost.Sent || !errors.Is(lost, ErrClosed) {
		t.Errorf("the request under way: sent %v, %v", lost.Sent, lost)
	}
	if lost := lostCall(t, queued); lost.Sent {
		t.Error("the queued request is called sent")
	}
	s.Close()
}

func TestLineCutInTheMiddleOfAPayload(t *testing.T) {
	srv := sftptest.New(t)
	s := connect(t, srv)
	f := must(t, s.OpenFile("f", OpenRead|OpenWrite|OpenCreate, Attr{})).Handle()
	must(t, s.Write(f, 0, pattern(200_000)))
	srv.CutAfterBytes(100_000)
	lostCall(t, s.Read(f, 0, make([]byte, 200_000)))
}

func TestWaitPrefersTheReply(t *testing.T) {
	s, _ := real(t)
	c := must(t, s.Lstat("."))
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if err := c.Wait(gone); err != nil {
		t.Errorf("an answered call: %v", err)
	}
}

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

func TestTooLongRequestsAreRefusedHere(t *testing.T) {
	s, _ := real(t)
	limits(t, s)
	if err := outcome(t, s.Write("h", 0, make([]byte, 300<<10))); err == nil {
		t.Error("a WRITE longer than any packet was sent")
	}
	if err := outcome(t, s.Lstat(string(make([]byte, 300<<10)))); err == nil {
		t.Error("a path longer than any packet was sent")
	}
	must(t, s.Lstat("."))
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
