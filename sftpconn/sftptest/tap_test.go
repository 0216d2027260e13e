package sftptest_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// tapped gives a session under a tap that has counted nothing yet.
func tapped(t *testing.T) (*sftptest.Tap, *session.Session) {
	t.Helper()
	tap := sftptest.NewTap()
	srv := sftptest.New(t, sftptest.WithTap(tap))
	s := open(t, dial(t, srv))
	limits(t, s)
	tap.Reset()
	return tap, s
}

func TestCountsRequestsByName(t *testing.T) {
	tap, s := tapped(t)
	wait(t, s.Lstat("a"))
	wait(t, s.Lstat("b"))
	wait(t, s.Statvfs("."))
	wait(t, s.Symlink("x", "y"))
	want := map[string]int{"LSTAT": 2, "statvfs@openssh.com": 1, "SYMLINK": 1}
	got := tap.Requests()
	for name, n := range want {
		if got[name] != n {
			t.Errorf("%d × %s counted, %d sent", got[name], name, n)
		}
	}
	if tap.Total() != 4 || tap.Count("LSTAT", "SYMLINK") != 3 {
		t.Errorf("total %d and count %d, 4 and 3 wanted:\n%s", tap.Total(), tap.Count("LSTAT", "SYMLINK"), strings.Join(tap.Log(), "\n"))
	}
	if up, down := tap.Bytes(); up == 0 || down == 0 {
		t.Errorf("%d bytes up and %d down", up, down)
	}
}

func TestFlightsAreRoundTrips(t *testing.T) {
	tap, s := tapped(t)
	tap.SetDelay(400 * time.Millisecond)

	for range 3 { // each waits for the one before
		wait(t, s.Lstat("."))
	}
	if n := tap.Flights(); n != 3 {
		t.Errorf("%d flights of requests one after the other, 3 wanted:\n%s", n, strings.Join(tap.Log(), "\n"))
	}

	tap.Reset()
	calls := []*session.Call{s.Lstat("."), s.Stat("."), s.Realpath(".")}
	for _, c := range calls {
		wait(t, c)
	}
	wait(t, s.CloseHandle("none")) // begins no flight
	if n := tap.Flights(); n != 1 {
		t.Errorf("%d flights of requests sent together, 1 wanted:\n%s", n, strings.Join(tap.Log(), "\n"))
	}
}

func TestDelayIsPerReplyAndNotOneAfterTheOther(t *testing.T) {
	tap, s := tapped(t)
	const delay = 300 * time.Millisecond
	tap.SetDelay(delay)
	began := time.Now()
	var calls []*session.Call
	for range 50 {
		calls = append(calls, s.Lstat("."))
	}
	for _, c := range calls {
		wait(t, c)
	}
	if took := time.Since(began); took < delay || took > 50*delay/2 {
		t.Errorf("50 pipelined requests took %v with a delay of %v", took, delay)
	}
}

func TestAnswerInsteadOfTheServer(t *testing.T) {
	tap, s := tapped(t)
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "LSTAT" && p.Text == "secret" {
			return sftptest.Answer(session.StatusQuotaExceeded, "no more")
		}
		return sftptest.Pass()
	})
	var refused *session.StatusError
	if err := wait(t, s.Lstat("secret")); !errors.As(err, &refused) || refused.Code != session.StatusQuotaExceeded || refused.Msg != "no more" {
		t.Errorf("answered by the hook: %v", err)
	}
	if err := wait(t, s.Lstat(".")); err != nil {
		t.Errorf("passed by the hook: %v", err)
	}
}

func TestAnswerInsteadOfAReply(t *testing.T) {
	tap, s := tapped(t)
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Request != nil && p.Request.Name == "MKDIR" {
			return sftptest.Answer(session.StatusFailure, "made, but not told")
		}
		return sftptest.Pass()
	})
	var refused *session.StatusError
	if err := wait(t, s.Mkdir("d", session.Attr{})); !errors.As(err, &refused) {
		t.Errorf("mkdir: %v", err)
	}
	if err := wait(t, s.Lstat("d")); err != nil {
		t.Errorf("the directory was not made: %v", err)
	}
}

func TestReplaceBody(t *testing.T) {
	tap, s := tapped(t)
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		body := slices.Clone(p.Body)
		body[3] |= 1 // turns OK into EOF
		return sftptest.ReplaceBody(body)
	})
	var refused *session.StatusError
	if err := wait(t, s.Mkdir("d", session.Attr{})); !errors.As(err, &refused) || refused.Code != session.StatusEOF {
		t.Errorf("mkdir: %v", err)
	}
}

func TestReplaceRaw(t *testing.T) {
	tap, s := tapped(t)
	tap.OnReply(func(p sftptest.Packet) sftptest.Action { return sftptest.ReplaceRaw([]byte{255, 255, 255, 255}) })
	var lost *session.LostError
	if err := wait(t, s.Lstat(".")); !errors.As(err, &lost) {
		t.Errorf("lstat: %v", err)
	}
}

func TestDropIsSilence(t *testing.T) {
	tap, s := tapped(t)
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "LSTAT" {
			return sftptest.Drop()
		}
		return sftptest.Pass()
	})
	c := s.Lstat(".")
	wait(t, s.Stat("."))
	select {
	case <-c.Done():
		t.Errorf("a dropped request was answered: %v", c.Wait(context.Background()))
	default:
	}
}

func TestHoldAndReleaseOutOfOrder(t *testing.T) {
	tap, s := tapped(t)
	tap.OnReply(func(p sftptest.Packet) sftptest.Action { return sftptest.Hold() })
	first, second := s.Mkdir("a", session.Attr{}), s.Mkdir("b", session.Attr{})
	if !tap.WaitHeld(2, deadline) {
		t.Fatalf("held: %v", tap.Held())
	}
	tap.Release(1)
	if err := wait(t, second); err != nil {
		t.Error(err)
	}
	select {
	case <-first.Done():
		t.Error("the first reply came although it is held")
	default:
	}
	if held := tap.Held(); len(held) != 1 || held[0].Request.Text != "a" {
		t.Errorf("held: %v", held)
	}
	tap.Release()
	if err := wait(t, first); err != nil {
		t.Error(err)
	}
}

func TestHoldRequest(t *testing.T) {
	tap, s := tapped(t)
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "MKDIR" {
			return sftptest.Hold()
		}
		return sftptest.Pass()
	})
	c := s.Mkdir("a", session.Attr{})
	if !tap.WaitHeld(1, deadline) {
		t.Fatal("the request is not held")
	}
	if err := wait(t, s.Lstat("a")); err == nil {
		t.Error("the held request reached the server")
	}
	tap.Release()
	if err := wait(t, c); err != nil {
		t.Error(err)
	}
}

// A test ends its holding while packets still come: what a hook decides about at that moment must not be held for ever.
func TestReleaseOfAllIncludesWhatIsBeingDecided(t *testing.T) {
	tap, s := tapped(t)
	holdAndRelease := func(sftptest.Packet) sftptest.Action {
		tap.OnRequest(nil)
		tap.OnReply(nil)
		tap.Release()
		return sftptest.Hold()
	}
	tap.OnReply(holdAndRelease)
	if err := wait(t, s.Mkdir("a", session.Attr{})); err != nil {
		t.Error(err)
	}
	tap.OnRequest(holdAndRelease)
	if err := wait(t, s.Mkdir("b", session.Attr{})); err != nil {
		t.Error(err)
	}
}

func TestDelayedPacketsAreOvertaken(t *testing.T) {
	tap, s := tapped(t)
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Request.Name == "LSTAT" {
			return sftptest.Delay(500 * time.Millisecond)
		}
		return sftptest.Pass()
	})
	began := time.Now()
	slow, fast := s.Lstat("."), s.Stat(".")
	wait(t, fast)
	wait(t, slow)
	if took := time.Since(began); took < 500*time.Millisecond {
		t.Errorf("the delayed reply came after %v", took)
	}
	if !(fast.RTT() < slow.RTT()) {
		t.Errorf("round trips: delayed %v, other %v", slow.RTT(), fast.RTT())
	}
}

func TestHooksMayCutTheLine(t *testing.T) {
	tap := sftptest.NewTap()
	srv := sftptest.New(t, sftptest.WithTap(tap))
	s := open(t, dial(t, srv))
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Request != nil && p.Request.Name == "MKDIR" {
			srv.Cut()
			return sftptest.Drop()
		}
		return sftptest.Pass()
	})
	var lost *session.LostError
	if err := wait(t, s.Mkdir("d", session.Attr{})); !errors.As(err, &lost) || !lost.Sent {
		t.Errorf("mkdir whose answer was lost: %v", err)
	}
	if err := wait(t, open(t, dial(t, srv)).Lstat("d")); err != nil {
		t.Errorf("the directory was not made: %v", err)
	}
}
