package cache

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// pagesGood says whether an opening calls the kernel's pages good.
func (r *rig) pagesGood(n *Node) (keep bool) {
	r.t.Helper()
	h, keep, err := r.Open(ctxOf(r.t), n, syscall.O_RDONLY)
	if err != nil {
		r.t.Fatal(err)
	}
	h.Release()
	return keep
}

// Own times take away the mtime by which a change would have been seen, so one must be assumed.
func TestAChangeBehindOwnTimesIsSeen(t *testing.T) {
	for name, size := range map[string]int{"small": 10, "large": 200_000} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.put("f", strings.Repeat("o", size))
			n := r.mustFind("f").Node
			r.readAll(n)
			old := time.Now().Add(-24 * time.Hour)
			if _, _, err := r.Setattr(ctxOf(t), n, nil, SetAttr{Atime: &old, Mtime: &old}); err != nil {
				t.Fatal(err)
			}
			r.put("f", strings.Repeat("n", size))
			r.statAgain(n)
			if r.pagesGood(n) {
				t.Error("the kernel's pages of before are called good")
			}
			if got := r.readAll(n); got != strings.Repeat("n", size) {
				t.Errorf("%d bytes are read, beginning with %.5q", len(got), got)
			}
		})
	}
}

// The mtime that our own writes made is not known until it is asked for; one that is later than their acknowledgement is not theirs.
func TestALaterForeignChangeIsNotTakenForOwnWrites(t *testing.T) {
	for name, stat := range map[string]bool{"at a stat": true, "at an open": false} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			found, h, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_WRONLY|syscall.O_EXCL, 0o644)
			if err != nil {
				t.Fatal(err)
			}
			defer h.Release()
			content := strings.Repeat("o", 200_000)
			if _, err := h.Write(ctxOf(t), []byte(content), 0); err != nil {
				t.Fatal(err)
			}
			if err := h.Flush(ctxOf(t)); err != nil {
				t.Fatal(err)
			}
			r.putAt("f", strings.Repeat("n", len(content)), time.Now().Add(time.Hour))
			if stat {
				r.statAgain(found.Node)
			}
			if r.pagesGood(found.Node) {
				t.Error("the kernel's pages are called good after somebody else has written the file")
			}
		})
	}
}

// What others made of a file that was written here is theirs: they may go on within the second.
func TestAForeignStateAfterOwnWritesIsNotTakenForTheirs(t *testing.T) {
	for name, size := range map[string]int{"of another size": 300_000, "of the same size": 200_000} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			n := r.create(r.Root(), "f", strings.Repeat("o", 400_000)).Node
			cut := uint64(200_000)
			if _, _, err := r.Setattr(ctxOf(t), n, nil, SetAttr{Size: &cut}); err != nil {
				t.Fatal(err)
			}
			soon := time.Now().Add(time.Hour) // never so long ago that the state would be trusted
			r.putAt("f", strings.Repeat("n", size), soon)
			r.statAgain(n)
			if got := r.readAll(n); got != strings.Repeat("n", size) {
				t.Fatalf("%d bytes are read, beginning with %.5q", len(got), got)
			}
			r.putAt("f", strings.Repeat("m", size), soon)
			if r.pagesGood(n) {
				t.Error("the kernel's pages are called good after somebody else has written the file")
			}
		})
	}
}

func TestAForeignChangeIsSeenWithoutCachedNames(t *testing.T) {
	r := newRig(t, func(o *Options) { o.NoDirCache = true })
	content := strings.Repeat("o", 200_000)
	n := r.create(r.Root(), "f", content).Node
	waitFor(t, "the mtime is learnt", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return !n.file.written.untold
	})
	r.putAt("f", strings.Repeat("n", len(content)), time.Now().Add(-time.Hour))
	r.mustFind("f")
	if r.pagesGood(n) {
		t.Error("the kernel's pages are called good after somebody else has written the file")
	}
}

func TestWhatCouldNotBeDeliveredIsNotShownAsContent(t *testing.T) {
	r := newRig(t, nil)
	r.put("f", strings.Repeat("o", 200_000))
	n := r.mustFind("f").Node
	h, _, err := r.Open(ctxOf(t), n, syscall.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()
	r.refuse("WRITE")
	if _, err := h.Write(ctxOf(t), []byte("new"), 100_000); err != nil {
		t.Fatal(err)
	}
	wantErrno(t, h.Fsync(ctxOf(t)), syscall.EACCES)
	r.statAgain(n)
	if r.pagesGood(n) {
		t.Error("the kernel's pages with the bytes that the server does not have are called good")
	}
}

// Nothing tells that what is open is another file than what will be opened: both use the kernel's pages.
func TestAFileThatIsOpenedBesideItsMakerIsOneFile(t *testing.T) {
	for name, change := range map[string]func(*Options){"by default": nil, "without cached names": func(o *Options) { o.NoDirCache = true }} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, change)
			f, h, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_RDWR, 0o644)
			if err != nil {
				t.Fatal(err)
			}
			defer h.Release()
			old := time.Now().Add(-time.Hour)
			for range 2 {
				r.statAgain(f.Node)
				other, _, err := r.Open(ctxOf(t), f.Node, syscall.O_RDWR)
				if err != nil {
					t.Fatal(err)
				}
				if other.BypassPages() {
					t.Error("it goes past the pages")
				}
				other.Release()
				if _, _, err := r.Setattr(ctxOf(t), f.Node, nil, SetAttr{Atime: &old, Mtime: &old}); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestTheKernelForgetsThePagesOfAnOpenFileThatGrewBehindOwnTimes(t *testing.T) {
	r := newRig(t, nil)
	r.put("f", "old")
	n := r.mustFind("f").Node
	h, _, err := r.Open(ctxOf(t), n, syscall.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()
	old := time.Now().Add(-24 * time.Hour)
	if _, _, err := r.Setattr(ctxOf(t), n, nil, SetAttr{Atime: &old, Mtime: &old}); err != nil {
		t.Fatal(err)
	}
	r.append("f", " and more")
	r.statAgain(n)
	if !r.TakeMustForgetPages(n) {
		t.Error("it is told of the new size, and has zeros behind the old end")
	}
}

// An own write gives a file another mtime, so that the next opening can't tell by that what somebody else has done to it before.
func TestAChangeSomeTimeBeforeAnOwnWriteIsSeenAtTheNextOpening(t *testing.T) {
	for name, size := range map[string]int{"small": cheapAgain / 2, "large": 4 * cheapAgain} {
		t.Run(name, func(t *testing.T) { testAChangeBeforeAnOwnWrite(t, size) })
	}
}

func testAChangeBeforeAnOwnWrite(t *testing.T, size int) {
	cut, when := uint64(size/2), time.Unix(1_000_000_000, 0)
	for name, write := range map[string]func(r *rig, n *Node, h *Handle) error{
		"a write": func(r *rig, n *Node, h *Handle) error {
			r.fill(h, "content")
			return h.Flush(ctxOf(r.t))
		},
		"a write that is not closed": func(r *rig, n *Node, h *Handle) error {
			r.fill(h, "content")
			return n.file.data.Drain(ctxOf(r.t))
		},
		"a write, and times": func(r *rig, n *Node, h *Handle) error {
			r.fill(h, "content")
			if err := h.Flush(ctxOf(r.t)); err != nil {
				return err
			}
			_, _, err := r.Setattr(ctxOf(r.t), n, nil, SetAttr{Atime: &when, Mtime: &when})
			return err
		},
		"a write, and times behind it": func(r *rig, n *Node, h *Handle) error {
			r.fill(h, "content")
			if _, _, err := r.Setattr(ctxOf(r.t), n, h, SetAttr{Atime: &when, Mtime: &when}); err != nil {
				return err
			}
			return h.Flush(ctxOf(r.t))
		},
		"times and a write": func(r *rig, n *Node, h *Handle) error {
			if _, _, err := r.Setattr(ctxOf(r.t), n, h, SetAttr{Atime: &when, Mtime: &when}); err != nil {
				return err
			}
			r.fill(h, "content")
			return h.Flush(ctxOf(r.t))
		},
		"two writes": func(r *rig, n *Node, h *Handle) error {
			for range 2 {
				r.fill(h, "content")
				if err := h.Flush(ctxOf(r.t)); err != nil {
					return err
				}
			}
			return nil
		},
		"a truncation": func(r *rig, n *Node, _ *Handle) error {
			_, _, err := r.Setattr(ctxOf(r.t), n, nil, SetAttr{Size: &cut})
			return err
		},
		"a truncation, with times": func(r *rig, n *Node, _ *Handle) error {
			_, _, err := r.Setattr(ctxOf(r.t), n, nil, SetAttr{Size: &cut, Atime: &when, Mtime: &when})
			return err
		},
		"a copy": func(r *rig, n *Node, h *Handle) error {
			r.put("source", strings.Repeat("s", size/2))
			if _, err := r.Copy(ctxOf(r.t), r.opened(r.mustFind("source").Node, syscall.O_RDONLY), 0, h, 0, int64(size/2)); err != nil {
				return err
			}
			return h.Flush(ctxOf(r.t))
		},
	} {
		for _, stat := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", and a stat"}[stat], func(t *testing.T) {
				r := newRig(t, nil)
				r.put("f", strings.Repeat("o", size))
				n := r.mustFind("f").Node
				h := r.opened(n, syscall.O_RDWR)
				r.readOpen(h)
				if size > cheapAgain && !strings.HasPrefix(name, "a truncation") && !strings.HasPrefix(name, "times") {
					r.mu.Lock()
					n.until -= int64(2 * justWritten)
					r.mu.Unlock()
				}
				r.putAt("f", strings.Repeat("n", size), time.Now().Add(-justWritten))
				if err := write(r, n, h); err != nil {
					t.Fatal(err)
				}
				if stat {
					r.statAgain(n)
				}
				now, keep, err := r.Open(ctxOf(t), n, syscall.O_RDONLY)
				if err != nil {
					t.Fatal(err)
				}
				defer now.Release()
				if keep {
					t.Error("the kernel's pages of before are called good")
				}
				if got, want := r.readOpen(now), r.remote("f"); got != want {
					t.Errorf("%d bytes are read, ending with %.5q; the server has %d, ending with %.5q", len(got), got[len(got)-5:], len(want), want[len(want)-5:])
				}
			})
		}
	}
}
