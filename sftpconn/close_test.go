package sftpconn

import (
	"log/slog"
	"sync"
	"testing"

	"sshmount/sftpconn/sftptest"
)

// Calls start goroutines of their own while Close waits for all there are: the race
// detector tells.
func TestCloseComesAmongCalls(t *testing.T) {
	srv := sftptest.New(t)
	ctx := limited(t)
	dir := srv.Dir()
	path := file(t, srv, "f", content(1, 2<<20))
	for range 30 {
		c, err := New(t.Context(), Options{Dial: srv.Dial, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		f, _, err := c.Open(ctx, OpenRequest{Path: at(path), Pflags: rd})
		if err != nil {
			t.Fatal(err)
		}
		var calls, begun sync.WaitGroup
		for range 4 {
			begun.Add(2)
			calls.Go(func() {
				begun.Done()
				for c.List(ctx, dir, func([]Entry, bool) error { return nil }) == nil {
				}
			})
			calls.Go(func() {
				begun.Done()
				for err := error(nil); err == nil; {
					_, err = f.ReadAt(ctx, make([]byte, 100<<10), 0)
				}
			})
		}
		begun.Wait()
		c.Close()
		calls.Wait() // each has ended with an error
		f.Close()
	}
}

func TestAFileThatIsUsedAfterCloseSaysSo(t *testing.T) {
	srv := sftptest.New(t)
	c := connect(t, srv)
	f := openFile(t, c, file(t, srv, "f", []byte("x")), rd)
	c.Close()
	f.mu.Lock()
	h := f.begin(f.c.allLinks()[0].names, true, func(h *handle) (string, error) { return f.find(h.ch) })
	f.mu.Unlock()
	select {
	case <-h.done:
	case <-limited(t).Done():
		t.Fatal("what is opened after Close is waited for in vain")
	}
	if _, err := f.ReadAt(limited(t), make([]byte, 1), 0); err == nil {
		t.Error("a read after Close")
	}
}
