package sftpconn

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
	"sshmount/sftpconn/transport"
)

// A pipe that carries one session can be asked nothing that doesn't wait for the answer before it.
func TestSilenceBehindASlowRequestIsNoEndOfAPipe(t *testing.T) {
	for _, row := range []struct {
		what string
		ask  func(s *session.Session)
		ends bool
	}{
		{"fsync", func(s *session.Session) { s.Fsync("h") }, false},
		{"copy-data", func(s *session.Session) { s.CopyData("h", 0, 1<<30, "i", 0) }, false},
		{"lstat", func(s *session.Session) { s.Lstat("/") }, true},
	} {
		t.Run(row.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := underStub(t, stubPipe)
				first := c.newest.Load()
				row.ask(first)
				limit := c.o.AliveInterval * time.Duration(c.o.AliveCountMax) * busyFactor
				time.Sleep(limit - time.Second)
				if first.Err() != nil {
					t.Errorf("ended before %v: %v", limit, first.Err())
				}
				time.Sleep(10 * limit)
				if ended := first.Err() != nil; ended != row.ends {
					t.Errorf("after %v the end is %v", 11*limit, first.Err())
				}
			})
		})
	}
}

func TestAChannelThatIsIdleTellsThatTheServerIsAliveDuringAnFsync(t *testing.T) {
	tap := sftptest.NewTap()
	srv := sftptest.New(t, sftptest.WithTap(tap), sftptest.NoProbe())
	c := connect(t, srv, func(o *Options) { o.AliveInterval = 200 * time.Millisecond })
	c.allLinks()[0].grow(1)
	eventually(t, "a bulk channel", func() bool { return len(c.allLinks()[0].bulkChannels()) == 1 })
	f := openFile(t, c, file(t, srv, "f", []byte("x")), rd|wr)
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Channel == 1 { // of names: the server answers in order, so that all waits there for the fsync
			return sftptest.Hold()
		}
		return sftptest.Pass()
	})
	tap.Reset()
	done := make(chan error, 1)
	go func() { done <- f.Fsync(limited(t)) }()
	// Each probe comes an interval or more after the answer to the last.
	const probes = 2 * busyFactor * 3
	eventually(t, "probes are answered", func() bool { return tap.Count("REALPATH") > probes })
	tap.OnReply(nil)
	tap.Release()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if s := c.Status(); s.Reconnects != 0 {
		t.Errorf("%d reconnects: %s", s.Reconnects, s.LastError)
	}
}

func TestALineThatIsSilentWhileTheChannelOfNamesIsReplacedIsGivenUpAsSoonAsAnyOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, lines := stubLines()
		c := underStub(t, dial)
		line := <-lines
		time.Sleep(time.Minute)
		line.freeze()
		c.newest.Load().Close() // the server process was killed
		begun := time.Now()
		<-lines
		limit := c.o.AliveInterval * time.Duration(c.o.AliveCountMax)
		if took := time.Since(begun); took > limit+3*time.Second {
			t.Errorf("given up after %v", took)
		}
		if why := c.Status().LastError; !strings.Contains(why, "no byte") {
			t.Errorf("the reason is given as %q", why)
		}
	})
}

// ServerAliveCountMax=1: silence is no end before somebody has asked.
func TestAServerThatIsSlowIsAskedBeforeItIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, lines := stubLines()
		c := underStub(t, dial, func(o *Options) { o.AliveCountMax = 1 })
		line := <-lines
		line.silence()
		slow := c.newest.Load()
		slow.Lstat("/")
		time.Sleep(time.Minute)
		if err := slow.Err(); err != nil {
			t.Errorf("ended although it answers probes: %v", err)
		}
		line.freeze()
		time.Sleep(4 * c.o.AliveInterval)
		if slow.Err() == nil {
			t.Error("goes on although no probe is answered")
		}
	})
}

// On a thin line a WRITE takes longer to arrive than silence is borne, and on a thinner one a question behind it. What the other
// kernel takes of questions says nothing of the server, however many programs still ask.
func TestBytesThatArriveOverThereAreASignOfLifeAsLongAsTheServerWaitsForMore(t *testing.T) {
	for _, row := range []struct {
		what     string
		queued   uint64 // bytes on their way when the line falls silent
		arrives  uint64 // bytes of these that arrive in a second
		asked    uint64 // bytes of new questions in a second, which arrive within the next
		survives bool
	}{
		{"a long write", 512000, 8000, 0, true},
		{"a question behind little", 9000, 100, 0, true},
		{"questions", 0, 0, 0, false},
		{"questions all the time", 0, 0, 500, false},
		{"questions all the time behind little", 900, 300, 500, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			dial, lines := stubLines()
			c := underStub(t, dial)
			line := <-lines
			first := c.newest.Load()
			first.Lstat("/")
			line.sending.Store(row.queued + row.asked)
			line.freeze()
			for range 60 {
				time.Sleep(time.Second)
				came := min(line.sending.Load(), row.arrives+row.asked)
				line.arrived.Add(came)
				line.sending.Add(row.asked - came)
			}
			if kept := first.Err() == nil; kept != row.survives {
				t.Errorf("%s: kept for a minute: %v (%v)", row.what, kept, first.Err())
			}
			begun := time.Now()
			if !row.survives {
				return
			}
			<-first.Done()
			if took, most := time.Since(begun), c.o.AliveInterval*time.Duration(c.o.AliveCountMax)+2*time.Second; took > most {
				t.Errorf("nothing arrives any more: given up after %v, not within %v", took, most)
			}
		})
	}
}

// oneSession is a transport that ends with its one session, and then says only that it was closed on this side.
type oneSession struct{ *stubLine }

func (oneSession) Err() error { return net.ErrClosed }

func TestTheLossOfAPipeIsToldByWhatEndedItsSession(t *testing.T) {
	c := newConn(Options{Logger: slog.New(slog.DiscardHandler), Dial: func(context.Context) (transport.Transport, error) {
		return oneSession{newStub(true)}, nil
	}})
	defer c.Close()
	l, err := c.dial(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	wrong := errors.New("a reply of 0 bytes")
	l.names.s.End(wrong)
	l.t.Close()
	defer l.close(wrong)
	for range 20 { // which of the two ends is seen first is left to chance
		if why := c.watch(l); !errors.Is(why, wrong) {
			t.Fatalf("the reason is given as %q", why)
		}
	}
}

// ServerAliveInterval and ServerAliveCountMax may be as large as ssh takes them.
func TestNoPatienceIsSoGreatThatItIsNone(t *testing.T) {
	for _, row := range []struct {
		interval time.Duration
		count    int
	}{
		{time.Minute, math.MaxInt32},
		{5 * time.Minute, 99999999}, // what behind a slow request is borne is busyFactor times as much
		{time.Minute, math.MaxInt},
		{math.MaxInt32 * time.Second, math.MaxInt32},
		{math.MaxInt32 * time.Second, 1},
		{math.MaxInt64, 1},
	} {
		for name, dial := range map[string]transport.Dialer{"line": stubDialer, "pipe": stubPipe} {
			synctest.Test(t, func(t *testing.T) {
				c := underStub(t, dial, func(o *Options) { o.AliveInterval, o.AliveCountMax = row.interval, row.count })
				first := c.newest.Load()
				first.Lstat("/")
				time.Sleep(10 * time.Minute)
				if err := first.Err(); err != nil {
					t.Errorf("interval %v, count %d: the %s is given up: %v", row.interval, row.count, name, err)
				}
			})
		}
	}
}

func TestAKickFindsALineThatIsUpAndDeadSoonerThanSilenceWould(t *testing.T) {
	for _, kick := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			dial, lines := stubLines()
			c := underStub(t, dial)
			line := <-lines
			time.Sleep(time.Minute)
			line.freeze()
			begun := time.Now()
			if kick {
				c.Kick()
			}
			<-lines
			took := time.Since(begun)
			if soon := took < c.o.AliveInterval+2*time.Second; soon != kick {
				t.Errorf("kicked %v: given up after %v", kick, took)
			}
		})
	}
}

func TestAKickLeavesALineThatAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, lines := stubLines()
		c := underStub(t, dial)
		<-lines
		for range 100 {
			c.Kick()
			time.Sleep(time.Second)
		}
		if s := c.Status(); !s.Connected || len(lines) != 0 {
			t.Errorf("%+v", s)
		}
	})
}
