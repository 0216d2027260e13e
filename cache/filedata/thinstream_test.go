package filedata

import (
	"testing"
	"time"
)

// What is read ahead of a reader on a thin line waits for what was asked for before. That is no round trip that a window must cover.
func TestAWindowDoesNotGrowForRequestsThatWaitForEachOther(t *testing.T) {
	const line, rate, piece = 60 * time.Millisecond, 125e3, 128 << 10
	at := time.Unix(1_000_000, 0)
	s := &stream{window: firstWindow, ramping: true, begun: at}
	most := int64(0)
	for range 200 {
		queued := time.Duration(float64(s.window) / rate * float64(time.Second))
		s.fit(at, line+queued, line)
		s.taken += piece
		s.bytes += piece
		at = at.Add(time.Duration(piece / rate * float64(time.Second)))
		most = max(most, s.window)
	}
	if most > 3<<20 || s.window > leastWindow/2 {
		t.Errorf("up to %d KiB are read ahead, and %d at last, of which the line carries %.0f in a second", most>>10, s.window>>10, rate/1024)
	}
}
