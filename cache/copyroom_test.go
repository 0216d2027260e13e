package cache

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A small copy that is made from here must not wait for room that its own source takes: the bytes of that are merged when they are sent, and
// the memory from before is free only when nobody holds it.
func TestACopyFromHereFindsRoomBesideItsSource(t *testing.T) {
	r := newRig(t, func(o *Options) { o.WriteBudget = 128 << 10 })
	src := r.made("source")
	dst := r.made("copy")
	size := 0
	for _, n := range []int{7923, 33_000, 4096} {
		r.appended(src, strings.Repeat("x", n))
		size += n
	}
	ctx, cancel := context.WithTimeout(ctxOf(t), 5*time.Second)
	defer cancel()
	from := size - 2600
	n, err := r.Copy(ctx, src, int64(from), dst, 0, 30_000)
	if err != nil || n != 2600 {
		t.Errorf("%d bytes were copied of 2600: %v", n, err)
	}
}

// made makes a file, and leaves it open for reading and writing.
func (r *rig) made(name string) *Handle {
	r.t.Helper()
	_, h, err := r.Create(ctxOf(r.t), r.Root(), name, syscall.O_RDWR, 0o644)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(h.Release)
	return h
}
