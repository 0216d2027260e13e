package sftpconn

import (
	"testing"
	"testing/synctest"
	"time"
)

// What was sent while data was in flight has stood behind it, though it is answered when there is none any more.
func TestAnAnswerToWhatWasSentBehindDataIsNotTheLinesRoundTrip(t *testing.T) {
	const line, queued = 10 * time.Millisecond, 50 * time.Millisecond
	for what, emptied := range map[string]bool{"the data was at its end": false, "the line was emptied for it": true} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var m minRTT
				m.add(line)
				m.flies(reading, true)
				time.Sleep(minRTTFor + time.Second)
				if emptied && m.drain() != fullDrain {
					t.Fatal("the line is not emptied though its round trip was not seen for long")
				}
				m.flies(reading, false)
				time.Sleep(queued / 2)
				m.add(queued)
				if got := m.get(); got != line {
					t.Errorf("taken for %v, from an answer to what was sent behind data", got)
				}
				time.Sleep(queued)
				m.add(queued)
				if got := m.get(); got != queued {
					t.Errorf("still taken for %v, though the line was empty", got)
				}
			})
		})
	}
}
