package filedata

import "testing"

// reach reads the first half of an 8 MiB file in order and says how far ahead of its reader a request went, in bytes.
func reach(t *testing.T, p *Pool) int64 {
	t.Helper()
	s := newServer(random(8 << 20))
	h := p.NewFile(nil, 8<<20).Open(s)
	defer h.Close()
	most := int64(0)
	for off := int64(0); off < 4<<20; off += 64 << 10 {
		s.asked()
		mustRead(t, h, off, 64<<10)
		for _, r := range s.asked() {
			most = max(most, r.off-off)
		}
	}
	return most
}

func TestAcknowledgedBytesStayWithinTheReadBudget(t *testing.T) {
	s := newServer(nil)
	p, f, h := opened(t, Options{ReadBudget: 1 << 20, WriteBudget: 4 << 20}, s)
	for i := range 1000 { // pages of a database
		mustWrite(t, h, random(8<<10), int64(i)*(16<<10))
		if i%100 == 99 {
			mustFlush(t, h) // so that the answers to these come after those to the ones before
		}
	}
	eventually(t, "some of them are kept, and no more than the budget", func() bool {
		n := p.Stats().Clean
		return n > 0 && n <= 1<<20
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	if last := f.clean.s[len(f.clean.s)-1].off; last != 999*(16<<10) {
		t.Errorf("the last that is here is at %d KiB of %d", last>>10, 999*16)
	}
}

func TestWhatWasWrittenTakesNoReadAheadAway(t *testing.T) {
	s := newServer(nil)
	p, _, h := opened(t, Options{ReadBudget: 4 << 20, WriteBudget: 4 << 20}, s)
	for i := range 200 {
		mustWrite(t, h, random(32<<10), int64(i)*(64<<10))
	}
	mustFlush(t, h)
	if n := reach(t, p); n < firstWindow {
		t.Errorf("read ahead as far as %d KiB", n>>10)
	}
}

func TestWhatWasReadForClosedHandlesTakesNoReadAheadAway(t *testing.T) {
	p := newPool(t, Options{ReadBudget: 4 << 20})
	for range 64 { // a thumbnailer: the beginnings of files
		s := newServer(random(1 << 20))
		f := p.NewFile(nil, 1<<20)
		h := f.Open(s)
		mustRead(t, h, 0, 64<<10)
		mustRead(t, h, 64<<10, 64<<10)
		eventually(t, "what was read ahead is there", func() bool {
			f.mu.Lock()
			defer f.mu.Unlock()
			for _, s := range f.clean.s {
				if !s.ready() {
					return false
				}
			}
			return len(f.clean.s) > 2
		})
		h.Close()
	}
	if n := p.Stats().Clean; n < 2<<20 {
		t.Fatalf("only %d KiB are left over", n>>10)
	}
	if n := reach(t, p); n < firstWindow {
		t.Errorf("read ahead as far as %d KiB", n>>10)
	}
}
