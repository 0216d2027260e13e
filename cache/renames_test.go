package cache

import (
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// refuseFirst has the server refuse the first request of this name, of which nothing is told before answer is called.
func (r *rig) refuseFirst(name string) (answer func()) {
	let := make(chan struct{})
	answer = sync.OnceFunc(func() { close(let) })
	r.t.Cleanup(answer)
	var refused atomic.Bool
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == name && !refused.Swap(true) {
			<-let
			return sftptest.Answer(session.StatusPermissionDenied, "no")
		}
		return sftptest.Pass()
	})
	return answer
}

// What is not saved is found by its name when the line was lost.
func TestAsyncAFileHasItsFirstNameWhereOfRenamesInARowTheFirstIsRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		steps []string
		dir   bool
	}{
		"two":            {[]string{"a", "b", "c"}, false},
		"three":          {[]string{"a", "b", "c", "d"}, false},
		"there and back": {[]string{"a", "b", "a"}, false},
		"of a directory": {[]string{"a", "b", "c"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, async)
			file := "a"
			if tc.dir {
				file = "a/f"
			}
			r.put(file, "old")
			r.list(r.Root())
			n := r.mustFind(file).Node
			h := r.opened(n, syscall.O_RDWR)
			answer := r.refuseFirst("posix-rename@openssh.com")
			for i := range tc.steps[1:] {
				if err := r.Rename(ctxOf(t), r.Root(), tc.steps[i], r.Root(), tc.steps[i+1], false); err != nil {
					t.Fatal(err)
				}
			}
			answer()
			if err := r.Sync(ctxOf(t)); err == nil {
				t.Error("nothing is reported of the renames that were refused")
			}
			r.srv.Cut()
			if _, err := h.Write(ctxOf(t), []byte("new"), 0); err != nil {
				t.Fatal(err)
			}
			_ = h.Fsync(ctxOf(t)) // which tells of what was refused
			if err := h.Fsync(ctxOf(t)); err != nil {
				t.Error(err)
			}
			if got := r.remote(file); got != "new" {
				t.Errorf("on the server it has %q", got)
			}
			if f := r.mustFind(file); f.Node != n {
				t.Error("by its name another file is found")
			}
		})
	}
}
