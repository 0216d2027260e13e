package session

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
)

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
