package sftpconn

import (
	"context"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
)

// A small file that is fetched ahead is given up, and its answer is still on its way.
func TestAnAnswerThatNobodyWantsAnyMoreKeepsItsPlaceOnTheLine(t *testing.T) {
	tap, srv, c := tapped(t)
	path := file(t, srv, "f", content(1, 1000))
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Request != nil && p.Request.Name == "READ" {
			return sftptest.Hold()
		}
		return sftptest.Pass()
	})
	ctx, cancel := context.WithCancel(limited(t))
	done := make(chan error, 1)
	go func() {
		_, _, err := c.ReadSmall(ctx, path, 1<<20)
		done <- err
	}()
	if !tap.WaitHeld(1, 10*time.Second) {
		t.Fatal("no READ was sent")
	}
	cancel()
	if err := <-done; err == nil {
		t.Error("it was read without an answer")
	}
	pacer := &c.allLinks()[0].read
	inFlight := func() int64 {
		pacer.mu.Lock()
		defer pacer.mu.Unlock()
		return pacer.inFlight
	}
	if n := inFlight(); n <= 1000 {
		t.Errorf("%d bytes are counted as in flight, more than 1000 are", n)
	}
	tap.OnReply(nil)
	tap.Release()
	eventually(t, "the line is free again", func() bool { return inFlight() == 0 })
}
