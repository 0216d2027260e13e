package sftpconn

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sshmount/sftpconn/transport"
)

func TestPausesBetweenAttemptsAreShortWhileAProgramWaits(t *testing.T) {
	var c Conn
	longest := func() (most time.Duration) {
		for tries := range 200 {
			most = max(most, c.backoff(tries))
		}
		return most
	}
	if most := longest(); most < 10*time.Second {
		t.Errorf("with nobody waiting the longest pause is %v: many mounts would hammer a server", most)
	}
	c.waiting.Add(1)
	if most := longest(); most > 4100*time.Millisecond {
		t.Errorf("while a program waits the longest pause is %v", most)
	}
}

func TestALongPauseEndsForWhoComes(t *testing.T) {
	var c Conn
	c.nextTry = time.Now().Add(time.Minute)
	if !c.pausesLong() {
		t.Error("a pause of a minute is not cut short")
	}
	c.noNudgeBefore = time.Now()
	if c.pausesLong() {
		t.Error("after a refused login the next program provokes another")
	}
}

func TestAServerThatDropsEveryConnectionIsAskedEverMoreRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dials atomic.Int32
		underStub(t, func(ctx context.Context) (transport.Transport, error) {
			dials.Add(1)
			tr, err := stubDialer(ctx)
			time.AfterFunc(100*time.Millisecond, func() { tr.Close() })
			return tr, err
		})
		time.Sleep(5 * time.Minute)
		before := dials.Load()
		time.Sleep(5 * time.Minute)
		if n := dials.Load() - before; n == 0 || n > 20 { // the pause is 15 s at least
			t.Errorf("%d logins within 5 minutes, and nobody waits", n)
		}
	})
}

func TestAGoodConnectionEndsTheBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dials atomic.Int32
		lines := make(chan transport.Transport, 1)
		underStub(t, func(ctx context.Context) (transport.Transport, error) {
			tr, err := stubDialer(ctx)
			if dials.Add(1) < 10 {
				time.AfterFunc(100*time.Millisecond, func() { tr.Close() })
			} else {
				lines <- tr
			}
			return tr, err
		})
		good := <-lines
		time.Sleep(2 * steady)
		good.Close()
		cut := time.Now()
		<-lines
		if down := time.Since(cut); down > backoffFirst {
			t.Errorf("the first attempt after a good connection came %v after its end", down)
		}
	})
}

func TestEventsOfTheNetworkDoNotProvokeAServerThatRefusesLogins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gate stubGate
		c := underStub(t, gate.dial)
		gate.shut(&transport.PermanentError{Err: errors.New("key refused"), Login: true})
		const minutes = 5
		for range minutes * 60 * 2 {
			time.Sleep(500 * time.Millisecond)
			c.nudge()
		}
		if n := gate.dials.Load() - 1; n < 2 || n > 5 { // the pauses are 0.5, 1 and 2 min at least
			t.Errorf("%d logins within %d minutes of events", n, minutes)
		}
		const days = 4
		before := gate.dials.Load()
		time.Sleep(days * 24 * time.Hour)
		if n := gate.dials.Load() - before; n < days*24*2 || n > days*24*6 { // every 10 to 30 min
			t.Errorf("%d logins within %d days", n, days)
		}
		before = gate.dials.Load()
		c.Kick()
		synctest.Wait()
		if gate.dials.Load() != before+1 {
			t.Error("the user's wish does not count")
		}

		gate.open()
		c.Kick()
		synctest.Wait()
		gate.line.Close()
		synctest.Wait()
		c.nudge()
		synctest.Wait()
		if !c.Status().Connected {
			t.Error("an event does not count although the last login was accepted")
		}
	})
}

// What is refused on this side, or by what answers in the place of the server, may be different in another network.
func TestEventsOfTheNetworkEndThePauseWhereNoLoginWasJudged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gate stubGate
		c := underStub(t, gate.dial)
		gate.shut(&transport.PermanentError{Err: errors.New("another host key")})
		time.Sleep(time.Hour)
		gate.open()
		time.Sleep(nudgeRefused + time.Second)
		c.nudge()
		synctest.Wait()
		if !c.Status().Connected {
			t.Error("the change of the network has led to no attempt")
		}
	})
}

func TestAnEventThatComesTooEarlyCountsLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gate stubGate
		c := underStub(t, gate.dial)
		gate.shut(&transport.PermanentError{Err: errors.New("another host key")})
		time.Sleep(backoffFirst) // the pause before the first attempt is shorter
		before := gate.dials.Load()
		time.Sleep(time.Second)
		gate.open()
		c.nudge()
		synctest.Wait()
		if n := gate.dials.Load(); n != before {
			t.Errorf("%d attempts at once", n-before)
		}
		time.Sleep(nudgeRefused)
		if !c.Status().Connected {
			t.Errorf("the network came back within the first %v of the pause, and that is forgotten", nudgeRefused)
		}
	})
}

func TestARefusedLoginHoldsNothingBackWhereTheWayLeadsElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var elsewhere atomic.Bool
		var gate stubGate
		c := underStub(t, gate.dial)
		c.o.Elsewhere = func(context.Context) bool {
			time.Sleep(time.Second)
			return elsewhere.Load()
		}
		gate.shut(&transport.PermanentError{Err: errors.New("key refused"), Login: true})
		time.Sleep(time.Hour)
		before := gate.dials.Load()
		for gate.dials.Load() == before {
			time.Sleep(time.Second) // the pause that begins now is 10 min at least
		}
		before++
		c.nudge()
		time.Sleep(2 * time.Second)
		if n := gate.dials.Load() - before; n != 0 {
			t.Errorf("%d attempts where the way is the same", n)
		}
		gate.open()
		c.nudge()
		time.Sleep(1500 * time.Millisecond)
		c.nudge()
		time.Sleep(100 * time.Millisecond)
		elsewhere.Store(true)
		c.nudge() // while it is asked for the one before
		time.Sleep(3 * time.Second)
		if !c.Status().Connected {
			t.Error("no attempt where the way leads elsewhere")
		}
	})
}
