package sftpconn

import (
	"testing"
	"testing/synctest"
	"time"
)

// However seldom it is looked for silence while nothing is outstanding.
func TestADeadLineIsFoundAsSoonWhenItWasUnused(t *testing.T) {
	for _, interval := range []time.Duration{time.Second, 5 * time.Second, time.Minute} {
		for _, unused := range []time.Duration{0, 61300 * time.Millisecond, 7*time.Minute + 2100*time.Millisecond, time.Hour + 4900*time.Millisecond} {
			synctest.Test(t, func(t *testing.T) {
				dial, lines := stubLines()
				c := underStub(t, dial, func(o *Options) { o.AliveInterval = interval })
				line := <-lines
				time.Sleep(unused)
				line.freeze()
				begun := time.Now()
				go c.Lstat(t.Context(), "/")
				<-lines
				limit := interval*time.Duration(c.o.AliveCountMax) + 2*min(interval/4, aliveLook)
				if took := time.Since(begun); took > limit {
					t.Errorf("interval %v, unused for %v: given up after %v, and not within %v", interval, unused, took, limit)
				}
			})
		}
	}
}
