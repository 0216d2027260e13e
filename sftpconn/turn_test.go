package sftpconn

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
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
			sent[p.Channel] = append(sent[p.Channel], p.Offset()/piece)
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

// What is read ahead behind a read has its place behind that, also while both wait for room: before what is asked for later.
func TestReadsWaitForRoomInTheOrderInWhichTheyWereAskedFor(t *testing.T) {
	const piece = 128 << 10
	tap, srv, c := tapped(t)
	want := content(6, 12*piece)
	f := openFile(t, c, file(t, srv, "f", want), rd)
	var sent atomic.Int32
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "READ" {
			sent.Add(1)
		}
		return sftptest.Pass()
	})
	tap.OnReply(func(sftptest.Packet) sftptest.Action { return sftptest.Hold() })
	p := &c.allLinks()[0].read
	waiting := func() (orders []uint64) {
		p.mu.Lock()
		for _, w := range p.front {
			orders = append(orders, w.order)
		}
		p.mu.Unlock()
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, e := range f.room[reading].queue {
			orders = append(orders, e.order)
		}
		return orders
	}
	var wg sync.WaitGroup
	ask := func(i int, turn *Turn) {
		wg.Go(func() {
			defer turn.Done()
			dst := make([]byte, piece)
			if n, err := f.ReadAt(InTurn(limited(t), turn), dst, int64(i)*piece); err != nil || !bytes.Equal(dst[:n], want[i*piece:][:n]) {
				t.Errorf("piece %d: %d bytes, %v", i, n, err)
			}
		})
	}
	full := 0
	for len(waiting()) == 0 {
		ask(full, nil)
		full++
		eventually(t, "the request is sent, or waits", func() bool { return int(sent.Load()) == full || len(waiting()) > 0 })
	}
	var none *Turn
	first := none.Next()
	behind, later := first.Next(), none.Next()
	ask(full+2, later)
	eventually(t, "what is asked for later waits for room", func() bool { return len(waiting()) == 2 })
	ask(full+1, behind)
	ask(full, first)
	eventually(t, "all wait for room", func() bool { return len(waiting()) == 4 })
	if got, want := waiting()[1:], []uint64{first.order, behind.order, later.order}; !slices.Equal(got, want) {
		t.Errorf("they wait in the order %d, want %d", got, want)
	}
	tap.OnReply(nil)
	tap.Release()
	wg.Wait()
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

// A read that ends while it waits for its turn counts for nothing: an fsync would wait for its bytes, or not wait for those of a write.
func TestAReadThatIsGivenUpIsNoWrite(t *testing.T) {
	_, srv, c := tapped(t)
	f := openFile(t, c, file(t, srv, "f", content(1, 100)), rd|wr)
	var none *Turn
	first := none.Next()
	ctx, cancel := context.WithCancel(limited(t))
	cancel()
	if _, err := f.ReadAt(InTurn(ctx, first.Next()), make([]byte, 100), 0); !errors.Is(err, context.Canceled) {
		t.Errorf("the turn has not come, and it says %v", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.out.unsent != 0 || f.out.asked != 0 {
		t.Errorf("%d bytes are to be written, %d were asked for", f.out.unsent, f.out.asked)
	}
}
