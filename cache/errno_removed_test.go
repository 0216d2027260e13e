package cache

import (
	"strings"
	"syscall"
	"testing"
)

func TestAFullDiskIsENOSPCForAFileThatWasRemoved(t *testing.T) {
	small := smallDisk(t)
	for name, async := range map[string]bool{"default": false, "async": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(o *Options) { o.Root, o.Async = small, async })
			_, h, err := r.Create(ctxOf(t), r.Root(), "unnamed", syscall.O_RDWR, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			defer h.Release()
			if err := r.Unlink(ctxOf(t), r.Root(), "unnamed"); err != nil {
				t.Fatal(err)
			}
			if err := r.Sync(ctxOf(t)); err != nil { // until the server has removed it bytes that it refuses are rescued
				t.Fatal(err)
			}
			data := []byte(strings.Repeat("x", 64<<10))
			for off := int64(0); off < 1<<20; off += int64(len(data)) {
				if _, err := h.Write(ctxOf(t), data, off); err != nil {
					wantErrno(t, err, syscall.ENOSPC)
					break
				}
			}
			wantErrno(t, h.Fsync(ctxOf(t)), syscall.ENOSPC)
			if rescued := r.Status().Rescued; len(rescued) != 0 {
				t.Errorf("rescued: %q", rescued)
			}
		})
	}
}
