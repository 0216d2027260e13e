package cache

import (
	"syscall"
	"testing"
)

// The server has cut it then: were it asked once more, a refusal of that would be told to a program whose file is cut.
func TestATruncatingOpenIsSentOnceThoughAnotherNameOfTheFileIsRenamed(t *testing.T) {
	for name, change := range map[string]func(*Options){"default": nil, "async": async} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, change)
			r.list(r.Root())
			n := r.linkedPair()
			r.tap.Reset()
			r.holdReply("OPEN")
			opened := r.opening(n, syscall.O_WRONLY|syscall.O_TRUNC)
			r.waitHeld()
			if err := r.Rename(ctxOf(t), r.Root(), "b", r.Root(), "c", false); err != nil {
				t.Fatal(err)
			}
			r.tap.Release()
			if err := <-opened; err != nil {
				t.Error(err)
			}
			if sent := r.tap.Count("OPEN"); sent != 1 {
				t.Errorf("it was sent %d times", sent)
			}
			r.wantSynced("", "a", "c")
			r.wantOneFile(n, "a", "c")
		})
	}
}
