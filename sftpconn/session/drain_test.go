package session

import (
	"context"
	"io"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
)

func TestDrainWaitsForTheLastAnswer(t *testing.T) {
	tap := sftptest.NewTap()
	s, dir := real(t, sftptest.WithTap(tap))
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Request != nil && (p.Request.Name == "LSTAT" || p.Request.Name == "REALPATH") {
			return sftptest.Hold()
		}
		return sftptest.Pass()
	})
	for range 10 { // it may look at the requests in any order
		first := s.Lstat(dir)
		s.Realpath(".")
		if !tap.WaitHeld(2, deadline) {
			t.Fatal("the requests were not answered")
		}
		over, end := context.WithCancel(context.Background())
		end()
		if err := s.Drain(over); err != context.Canceled {
			t.Errorf("with two unanswered requests: %v", err)
		}
		drained := make(chan error, 1)
		go func() { drained <- s.Drain(within(t)) }()
		tap.Release(0)
		if err := first.Wait(within(t)); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-drained:
			t.Fatalf("with one unanswered request: %v", err)
		case <-time.After(5 * time.Millisecond): // enough for one who does not wait
		}
		tap.Release()
		if err := <-drained; err != nil {
			t.Error(err)
		}
		if n := s.InFlight(); n != 0 {
			t.Errorf("%d requests are in flight", n)
		}
	}
}

// Who closes the line now cuts the answer off.
func TestDrainWaitsForTheRestOfAnAnswer(t *testing.T) {
	r, w := io.Pipe()
	ch := &earlyChannel{replies: r, answer: w}
	go w.Write([]byte{0, 0, 0, 5, 2, 0, 0, 0, 3})
	s, err := Open(within(t), ch, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	data := make([]byte, 8)
	c := s.Read("h", 0, data)
	reached := func(what string, is func() bool) {
		t.Helper()
		for end := time.Now().Add(deadline); ; time.Sleep(time.Millisecond) {
			s.mu.Lock()
			now := is()
			s.mu.Unlock()
			if now {
				return
			}
			if time.Now().After(end) {
				t.Fatal("waited in vain until " + what)
			}
		}
	}
	reached("the request is sent", func() bool { return c.sent })
	if _, err := w.Write([]byte{0, 0, 0, 17, 103, 0, 0, 0, 1, 0, 0, 0, 8, 'c', 'o', 'n', 't'}); err != nil {
		t.Fatal(err)
	}
	reached("the answer is begun", func() bool { return s.answering == c })
	over, end := context.WithCancel(context.Background())
	end()
	if err := s.Drain(over); err != context.Canceled {
		t.Errorf("with half an answer: %v", err)
	}
	if _, err := w.Write([]byte("ents")); err != nil {
		t.Fatal(err)
	}
	if err := s.Drain(within(t)); err != nil || string(data) != "contents" {
		t.Errorf("%q, %v", data, err)
	}
}
