package session

import (
	"context"
	"testing"

	"sshmount/sftpconn/sftptest"
)

func TestDrainWaitsForTheLastAnswer(t *testing.T) {
	tap := sftptest.NewTap()
	s, dir := real(t, sftptest.WithTap(tap))
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Request != nil && p.Request.Name == "LSTAT" {
			return sftptest.Hold()
		}
		return sftptest.Pass()
	})
	s.Lstat(dir)
	s.Realpath(".")
	if !tap.WaitHeld(1, deadline) {
		t.Fatal("no LSTAT was answered")
	}
	over, end := context.WithCancel(context.Background())
	end()
	if err := s.Drain(over); err != context.Canceled {
		t.Errorf("with an unanswered request: %v", err)
	}
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(within(t)) }()
	tap.Release()
	if err := <-drained; err != nil {
		t.Error(err)
	}
	if n := s.InFlight(); n != 0 {
		t.Errorf("%d requests are in flight", n)
	}
}
