package sftpconn

import (
	"testing"
	"testing/synctest"
	"time"
)

// Somebody asks for a name while a copy begins, of whose line nothing is known, and later beside it.
func TestANameDoesNotWaitBehindACopyOnAThinLine(t *testing.T) {
	for dir, most := range map[string]time.Duration{ // what is in flight before the line is known takes this long on it
		"from the server": 4500 * time.Millisecond, "to the server": 2500 * time.Millisecond,
	} {
		t.Run(dir, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := underStub(t, stubDialer).allLinks()[0]
				line := &thinLine{rtt: 60 * time.Millisecond, rate: 125e3}
				l.rtt.add(line.rtt)
				p := &l.read
				if dir == "to the server" {
					p = &l.write
				}
				const long = 30 * time.Second
				done := make(chan int64)
				go func() { done <- line.load(t, p, 40, long) }()
				var first, later time.Duration
				for begun := time.Now(); time.Since(begun) < long-5*time.Second; time.Sleep(100 * time.Millisecond) {
					took := line.ask(100, 100)
					l.rtt.add(took)
					if time.Since(begun) < 5*time.Second {
						first = max(first, took)
					} else {
						later = max(later, took)
					}
				}
				if first > most || later > 1200*time.Millisecond {
					t.Errorf("a question took up to %v while the copy began, and up to %v beside it", first, later)
				}
				if moved := float64(<-done); moved < 0.9*line.rate*long.Seconds() {
					t.Errorf("%.0f bytes/s moved of %.0f", moved/long.Seconds(), line.rate)
				}
			})
		})
	}
}
