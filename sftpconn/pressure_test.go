package sftpconn

import (
	"testing"
	"testing/synctest"
	"time"
)

// Opening channels takes several round trips, so all are asked for when the first answer shows where the stream will be by
// then, and not when the window holds it up; but not on a line that the first requests fill.
func TestAStreamHasItsChannelsOpenedFromItsFirstAnswerOn(t *testing.T) {
	const rtt = 50 * time.Millisecond
	for _, line := range []struct {
		name  string
		takes time.Duration // for what is asked for first
		want  int
	}{
		{"1 Gbit/s", rtt + time.Millisecond, aloneChannels},
		{"20 Mbit/s", rtt + 52*time.Millisecond, 0},
	} {
		t.Run(line.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := underStub(t, stubDialer).allLinks()[0]
				l.rtt.add(rtt)
				p := &l.read
				if n, _ := p.wanted(); n != 0 {
					t.Errorf("%d channels are wanted before anything is asked for", n)
				}
				g, err := p.acquire(t.Context(), want{n: 128 << 10})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(line.takes)
				p.release(g, int(g.n), rtt)
				if n, _ := p.wanted(); n != line.want {
					t.Errorf("%d channels are wanted after the first answer, want %d", n, line.want)
				}
			})
		})
	}
}
