package filedata

import (
	"context"
	"testing"
	"time"
)

// A writer that writes over the same bytes again and again, faster than the server takes them: of the pieces that they go out in, always
// one waits for its turn.
func TestAFlushEndsBesideAWriterThatWritesOverTheSameBytes(t *testing.T) {
	s := newServer(nil)
	s.maxWrite = 4
	came := map[int64]chan struct{}{0: make(chan struct{}, 100), 4: make(chan struct{}, 100)}
	answer := map[int64]chan struct{}{0: make(chan struct{}), 4: make(chan struct{})}
	s.gate = func(_ context.Context, r request) error {
		came[r.off] <- struct{}{}
		<-answer[r.off]
		return nil
	}
	p, f, h := opened(t, Options{}, s)
	slowIdle(p)
	mustWrite(t, h, []byte("aaaaaaaa"), 0)
	<-came[0]
	<-came[4]
	mustWrite(t, h, []byte("bbbbbbbb"), 0)
	flushed := make(chan error, 1)
	go func() { flushed <- h.Flush(context.Background(), true) }()
	eventually(t, "the flush waits", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.epochs[len(f.epochs)-1].sealed
	})
	for range 10 {
		for _, off := range []int64{0, 4} {
			answer[off] <- struct{}{}
			<-came[off]
			mustWrite(t, h, []byte("cccccccc"), 0)
		}
	}
	select {
	case err := <-flushed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("each byte was stored ten times since, and the flush waits still")
	}
	close(answer[0])
	close(answer[4])
	mustFlush(t, h)
}
