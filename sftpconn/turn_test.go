package sftpconn

import (
	"slices"
	"sync"
	"testing"

	"sshmount/sftpconn/sftptest"
)

// Goroutines run in any order; what they write goes out in the order of their turns, on each channel.
func TestWritesGoOutInTheirTurn(t *testing.T) {
	const pieces, piece = 200, 4 << 10
	tap, srv, c := tapped(t)
	f := openFile(t, c, file(t, srv, "f", nil), rd|wr)
	var mu sync.Mutex
	sent := map[int][]int64{} // by channel
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "WRITE" {
			mu.Lock()
			sent[p.Channel] = append(sent[p.Channel], writeOffset(p)/piece)
			mu.Unlock()
		}
		return sftptest.Pass()
	})
	want := content(5, pieces*piece)
	turns := make([]*Turn, pieces)
	var last *Turn
	for i := range turns {
		turns[i] = last.Next()
		last = turns[i]
	}
	var wg sync.WaitGroup
	for i := pieces - 1; i >= 0; i-- {
		wg.Go(func() {
			defer turns[i].Done()
			if err := f.WriteAt(InTurn(limited(t), turns[i]), want[i*piece:][:piece], int64(i*piece)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	sameAs(t, f.r.Path(), want)
	for ch, sent := range sent {
		if !slices.IsSorted(sent) {
			t.Errorf("the pieces were sent in this order on channel %d: %d", ch, sent)
		}
	}
}

// One that ends without getting in line holds up nobody.
func TestATurnThatIsGivenUpLetsTheNextOn(t *testing.T) {
	_, srv, c := tapped(t)
	f := openFile(t, c, file(t, srv, "f", nil), rd|wr)
	var none *Turn
	first := none.Next()
	second := first.Next()
	written := make(chan error, 1)
	go func() { written <- f.WriteAt(InTurn(limited(t), second), []byte("x"), 0) }()
	first.Done()
	if err := <-written; err != nil {
		t.Error(err)
	}
	sameAs(t, f.r.Path(), []byte("x"))
}
