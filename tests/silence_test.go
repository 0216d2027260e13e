package tests

import (
	"testing"
	"time"

	"sshmount/tests/line"
)

// A black hole is noticed by silence; what waits is answered over a new connection.
func TestBlackHoleIsNoticedBySilence(t *testing.T) {
	t.Parallel()
	onlySshmount(t)
	s := newServer(t)
	write(t, s.local("f"), "content")
	l, config := s.over(t, line.Config{})
	m := s.mountOver(t, config, aliveOptions...)
	l.BlackHole()
	reader := start(t, "", nil, "cat", m.path("f"))
	time.Sleep(500 * time.Millisecond)
	must(t, l.Resume()) // the lost connections stay lost; new ones work
	if out := reader.wait(t); out != "content" {
		t.Errorf("cat says %q", out)
	}
}

// Slow is not dead: a server that answers late, but whose line carries bytes, is not left.
func TestSlowIsNotDead(t *testing.T) {
	t.Parallel()
	onlySshmount(t)
	s := newServer(t)
	content := string(pseudoRandom(1, 300_000))
	write(t, s.local("f"), content)
	l, config := s.over(t, line.Config{})
	m := s.mountOver(t, config, aliveOptions...)
	l.Trickle(line.Down, 40_000)
	before := l.Stats().Accepted
	wantContent(t, m.path("f"), content)
	must(t, l.Resume())
	if now := l.Stats().Accepted; now != before {
		t.Errorf("%d new connections were made while the line was only slow", now-before)
	}
}

// A WRITE that takes longer to arrive than silence is borne has its connection kept: the other side takes in what is sent.
func TestSlowIsNotDeadAlsoWhereOnlyThisSideHasSomethingToSay(t *testing.T) {
	t.Parallel()
	onlySshmount(t)
	s := newServer(t)
	content := string(pseudoRandom(1, 300_000))
	l, config := s.over(t, line.Config{Up: &line.Direction{BytesPerSecond: 40_000, Queue: 20_000}})
	m := s.mountOver(t, config, aliveOptions...)
	before := l.Stats().Accepted
	write(t, m.path("f"), content)
	wantContent(t, s.local("f"), content)
	if now := l.Stats().Accepted; now != before {
		t.Errorf("%d new connections were made while the line was only slow", now-before)
	}
}
