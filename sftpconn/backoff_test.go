package sftpconn

import (
	"testing"
	"time"
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
	c.refused = true
	if c.pausesLong() {
		t.Error("after a refused login the next program provokes another")
	}
}
