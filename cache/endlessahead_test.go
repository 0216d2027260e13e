package cache

import (
	"fmt"
	"testing"
	"time"
)

// What is listed before anybody asks must not fill the memory, however many directories there are and however long each is.
func TestManyEndlessListingsFetchedAheadAreBoundedTogether(t *testing.T) {
	most := maxListed
	t.Cleanup(func() { maxListed = most })
	maxListed = 20_000
	r := newRig(t, nil)
	for i := range 12 {
		r.put(fmt.Sprintf("d%02d/f", i), "x")
	}
	r.list(r.Root())
	r.list(r.mustFind("d00").Node)
	second := r.mustFind("d01").Node
	endless(r, 500, 1)
	defer r.tap.OnReply(nil)
	d, err := r.OpenDir(ctxOf(t), second) // the others are listed ahead from now on
	if err != nil {
		t.Fatal(err)
	}
	l := d.list
	d.Release()
	ahead, highest := 0, 0
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Microsecond) {
		r.mu.Lock()
		under, listed, done := r.walk.underWay, r.listed, l.done
		r.mu.Unlock()
		ahead, highest = max(ahead, under), max(highest, listed)
		if under == 0 && done {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d listings are still on their way, with %d names", under, listed)
		}
	}
	if ahead < 2 {
		t.Fatalf("%d listings were on their way at a time", ahead)
	}
	if highest > 2*maxListed { // the one that was opened may come on top for as long as it is open
		t.Errorf("%d names were held that nobody has asked for, of %d that are allowed", highest, maxListed)
	}
}
