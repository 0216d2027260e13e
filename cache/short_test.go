package cache

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// A file that somebody writes anew ends before its size for a moment, and within a second nothing tells that it does no more.
func TestAFileSeenWhileItIsWrittenAnewHasItsSizeAfterwards(t *testing.T) {
	content := strings.Repeat("n", 100)
	for name, row := range map[string]struct {
		flags uint32
		mtime time.Time // as it was given to the file each time
		want  string
		do    func(r *rig, h *Handle)
	}{
		"read": {syscall.O_RDONLY, time.Now(), content, func(r *rig, h *Handle) { r.wantServers(h.n) }},
		"appended to": {syscall.O_WRONLY, time.Now(), content + "x", func(r *rig, h *Handle) {
			if _, err := h.Append(ctxOf(r.t), []byte("x"), int64(len(content))); err != nil {
				r.t.Error(err)
			}
		}},
		"appended to, with a time of its own": {syscall.O_WRONLY, time.Now().Add(-time.Hour), content + "x", func(r *rig, h *Handle) {
			if _, err := h.Append(ctxOf(r.t), []byte("x"), int64(len(content))); err != nil {
				r.t.Error(err)
			}
		}},
		"written to in its midst": {syscall.O_RDWR, time.Now(), content[:50] + "x" + content[51:], func(r *rig, h *Handle) {
			if _, err := h.Write(ctxOf(r.t), []byte("x"), 50); err != nil {
				r.t.Error(err)
			}
			if got := r.readOpen(h); got != content[:50]+"x"+content[51:] {
				r.t.Errorf("read %q", got)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.putAt("f", strings.Repeat("o", 100), row.mtime)
			n := r.mustFind("f").Node
			h := r.opened(n, syscall.O_RDONLY)
			r.mu.Lock()
			n.file.data.Drop() // what came with the opening
			r.mu.Unlock()
			r.putAt("f", "", row.mtime)
			if got, err := r.readFrom(h, 0, 100); err != nil || got != "" {
				t.Fatalf("read %q, %v", got, err)
			}
			r.putAt("f", content, row.mtime)
			h = r.opened(n, row.flags)
			row.do(r, h)
			if err := h.Flush(ctxOf(t)); err != nil {
				t.Fatal(err)
			}
			if got := r.remote("f"); got != row.want {
				t.Errorf("the server has %q", got)
			}
		})
	}
}
