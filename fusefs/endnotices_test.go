package fusefs

import (
	"slices"
	"testing"
	"time"
)

// The process may end when the kernel is out of what it is being told, and not before.
func TestTheEndOfNoticesIsWaitedFor(t *testing.T) {
	k := &busyKernel{let: make(chan struct{})}
	m := &Mounted{notices: &notifier{}}
	m.notices.start(k)
	go m.notices.NameChanged(1, "a")
	waitFor(t, "a notice under way", func() bool { return k.busy.Load() > 0 })
	if m.EndNotices(time.Millisecond) {
		t.Error("it is not waited for that the kernel takes the notice")
	}
	waitFor(t, "the end of new notices", func() bool {
		m.notices.mu.Lock()
		defer m.notices.mu.Unlock()
		return m.notices.kernel == nil
	})
	for i := range 10 {
		m.notices.NameChanged(1, string(rune('b'+i))) // nobody is told any more
	}
	close(k.let)
	if !m.EndNotices(10 * time.Second) {
		t.Error("no end of the notices although the kernel has taken the last")
	}
	if all := k.all(); !slices.Equal(all, []string{"entry 1 a"}) {
		t.Errorf("the kernel was told %q", all)
	}
}
