package cache

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// A handle that the last close has left open is of the old file, whoever notices that the name leads to another one now.
func TestAReplacedFileIsNotReadByTheHandleOfTheOldOne(t *testing.T) {
	notices := map[string]func(r *rig, n *Node){
		"an open for writing": func(r *rig, n *Node) { r.opened(n, syscall.O_RDWR) },
		"a stat": func(r *rig, n *Node) {
			r.mu.Lock()
			n.expire()
			r.mu.Unlock()
			if _, _, err := r.Getattr(ctxOf(r.t), n, nil); err != nil {
				r.t.Error(err)
			}
		},
		"a utimes": func(r *rig, n *Node) { // after which nothing is known of the content's state
			when := time.Unix(1_000_000_000, 0)
			if _, _, err := r.Setattr(ctxOf(r.t), n, nil, SetAttr{Atime: &when, Mtime: &when}); err != nil {
				r.t.Error(err)
			}
			r.opened(n, syscall.O_RDWR)
		},
	}
	for name, notice := range notices {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.put("f", "the old content")
			n := r.mustFind("f").Node
			if got := r.readAll(n); got != "the old content" {
				t.Fatal(got)
			}
			r.replace("f", "the NEW content!")
			notice(r, n)
			if got := r.readAll(n); got != "the NEW content!" {
				t.Errorf("read %q", got)
			}
		})
	}
}

// As with tail -F: the old file is closed after the new one was opened.
func TestTheReaderOfAReplacedFileLeavesNoHandleForTheNextOpen(t *testing.T) {
	for _, written := range []bool{false, true} {
		t.Run(map[bool]string{false: "not written", true: "written"}[written], func(t *testing.T) {
			r := newRig(t, nil)
			r.put("log", strings.Repeat("o", 2000))
			n := r.mustFind("log").Node
			old, _, err := r.Open(ctxOf(t), n, syscall.O_RDONLY)
			if err != nil {
				t.Fatal(err)
			}
			if s, err := r.readFrom(old, 0, 4096); err != nil || len(s) != 2000 {
				t.Fatal(len(s), err)
			}
			r.replace("log", strings.Repeat("N", 2000))
			var h *Handle
			err = r.asTheKernel("log", func(found *Node) (err error) {
				n = found
				h, _, err = r.Open(ctxOf(t), n, syscall.O_RDWR)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if written {
				if _, err := h.Write(ctxOf(t), []byte("N"), 0); err != nil {
					t.Fatal(err)
				}
				if err := h.Flush(ctxOf(t)); err != nil {
					t.Fatal(err)
				}
			}
			h.Release()
			r.learnt(n)
			old.Release()
			if got := r.readAll(n); got != strings.Repeat("N", 2000) {
				t.Errorf("read %d bytes beginning %q, want 2000 N", len(got), got[:min(len(got), 5)])
			}
		})
	}
}

func TestAsyncOpeningWhatIsBeingChmodedReadsNothingAgain(t *testing.T) {
	private := SetAttr{Mode: new(uint32)}
	*private.Mode = 0o600
	content := strings.Repeat("0123456789", 20_000)
	for name, tc := range map[string]struct {
		make  func(r *rig) *Node
		looks int // at the file on the server
	}{
		"read before": {func(r *rig) *Node {
			r.put("f", content)
			n := r.mustFind("f").Node
			r.readAll(n)
			return n
		}, 1},
		"written before": {func(r *rig) *Node {
			r.list(r.Root())
			r.tap.SetDelay(50 * time.Millisecond)
			return r.create(r.Root(), "f", content).Node
		}, 2}, // one of them by its creation
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, async)
			n := tc.make(r)
			r.tap.SetDelay(50 * time.Millisecond)
			if _, _, err := r.Setattr(ctxOf(t), n, nil, private); err != nil {
				t.Fatal(err)
			}
			r.tap.Reset()
			h, keep, err := r.Open(ctxOf(t), n, syscall.O_RDONLY)
			if err != nil {
				t.Fatal(err)
			}
			defer h.Release()
			if !keep {
				t.Error("the kernel's pages are dropped")
			}
			if got := r.tap.Count("LSTAT"); got > tc.looks {
				t.Errorf("the file was looked at %d times", got)
			}
			if a, _, err := r.Getattr(ctxOf(t), n, h); err != nil || a.Mode&0o777 != 0o600 {
				t.Errorf("it has mode %o; %v", a.Mode, err)
			}
		})
	}
}
