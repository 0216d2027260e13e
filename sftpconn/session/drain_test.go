package session

import (
	"context"
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
