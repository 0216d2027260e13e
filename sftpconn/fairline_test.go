package sftpconn

import (
	"testing"
	"testing/synctest"
)

// Of a copy on a slow line much more is asked for, and was before, than the line carries in the time that somebody waits.
func TestAnotherFileDoesNotWaitForAllThatIsReadAheadOfACopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &underStub(t, stubDialer).allLinks()[0].read
		granted := map[*File][]grant{} // guarded by p.mu
		ask := func(f *File, n int) {
			order := nextOrder()
			go func() {
				g, err := p.acquire(t.Context(), want{n: n, whole: true, order: order, of: f})
				if err != nil {
					return // the test is over
				}
				p.mu.Lock()
				defer p.mu.Unlock()
				granted[f] = append(granted[f], g)
			}()
			synctest.Wait()
		}
		out := func(f *File) int {
			p.mu.Lock()
			defer p.mu.Unlock()
			return len(granted[f])
		}
		bulk, other := &File{}, &File{}
		p.mu.Lock()
		half := int(p.limit() / 2)
		p.mu.Unlock()
		for range 20 {
			ask(bulk, half)
		}
		ask(other, half/4)
		ask(other, half/4)
		before := out(bulk)
		if before >= 20 || out(other) > 0 {
			t.Fatalf("%d requests of the copy are in flight at once, and %d of the other file", before, out(other))
		}
		for range before - 1 { // until the next one has room
			p.mu.Lock()
			g := granted[bulk][0]
			granted[bulk] = granted[bulk][1:]
			p.mu.Unlock()
			p.release(g, 0, 0)
			synctest.Wait()
			if out(other) > 0 {
				break
			}
		}
		if out(other) != 1 {
			t.Errorf("%d requests of the other file are in flight, want 1", out(other))
		}
		if out(bulk) < before {
			t.Error("the copy does not go on beside it")
		}
	})
}
