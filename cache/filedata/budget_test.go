package filedata

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestWriterWaitsForTheBudget(t *testing.T) {
	s := newServer(nil)
	p, _, h := opened(t, Options{WriteBudget: 256 << 10}, s)
	open, waiting := s.hold(ops("write"))
	defer open()
	for i := range 4 {
		mustWrite(t, h, make([]byte, 64<<10), int64(i)<<16)
	}
	eventually(t, "all is in flight", func() bool { return waiting() == 4 })
	cause := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(context.Background())
	wrote := make(chan error)
	go func() { wrote <- h.Write(ctx, make([]byte, 64<<10), 1<<20) }()
	eventually(t, "the writer waits", func() bool { return p.waiting.Load() == 1 })
	cancel(cause)
	if err := <-wrote; !errors.Is(err, cause) {
		t.Fatalf("got %v", err)
	}
	go func() { wrote <- h.Write(context.Background(), make([]byte, 64<<10), 1<<20) }()
	eventually(t, "the writer waits", func() bool { return p.waiting.Load() == 1 })
	open()
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	mustFlush(t, h)
	if st := p.Stats(); st.Dirty != 0 {
		t.Fatalf("%+v", st)
	}
}

// Memory held by extents that wait for more to merge with is given to who needs it.
func TestBudgetIsTakenFromIdleExtents(t *testing.T) {
	s := newServer(nil)
	p := newPool(t, Options{WriteBudget: 64 << 10})
	slowIdle(p)
	for range 100 {
		h := p.NewFile(nil, 0).Open(newServer(nil))
		defer h.Close()
		mustWrite(t, h, make([]byte, 3000), 0)
	}
	h := p.NewFile(nil, 0).Open(s)
	defer h.Close()
	mustWrite(t, h, make([]byte, 1<<20), 0) // more than the budget
	if err := p.Flushed(context.Background()); err != nil {
		t.Fatal(err)
	}
	if len(s.content()) != 1<<20 {
		t.Fatal("not all arrived")
	}
}

func TestStatsTellWhatIsNotSaved(t *testing.T) {
	s := newServer(nil)
	p, _, h := opened(t, Options{}, s)
	slowIdle(p)
	before := time.Now()
	mustWrite(t, h, make([]byte, 1000), 0)
	mustWrite(t, h, make([]byte, 1000), 500)
	st := p.Stats()
	if st.Dirty != 1500 || st.DirtyFiles != 1 || st.OldestDirty.Before(before) || st.OldestDirty.After(time.Now()) {
		t.Fatalf("%+v", st)
	}
}
