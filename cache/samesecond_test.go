package cache

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn/session"
)

// As rsync and unzip do it: what they have written is read from here afterwards.
func TestTimesSetRightAfterTheCloseKeepThePages(t *testing.T) {
	when := time.Unix(1_000_000_000, 0)
	setTimes := func(r *rig, n *Node) {
		if _, _, err := r.Setattr(ctxOf(r.t), n, nil, SetAttr{Atime: &when, Mtime: &when}); err != nil {
			r.t.Fatal(err)
		}
	}
	content := func(of string) string { return strings.Repeat(of, cheapAgain/4+1) }
	t.Run("written here", func(t *testing.T) {
		r := newRig(t, nil)
		n := r.create(r.Root(), "f", content("mine")).Node
		r.learnt(n)
		setTimes(r, n)
		if !r.pagesGood(n) {
			t.Error("the pages of what was written here were dropped")
		}
	})
	t.Run("and changed by another since", func(t *testing.T) {
		r := newRig(t, nil)
		n := r.create(r.Root(), "f", content("mine")).Node
		r.learnt(n)
		r.put("f", content("hers"))
		if got := r.readAll(n); got != content("hers") {
			t.Fatalf("%d bytes are read, beginning with %.8q", len(got), got)
		}
		r.put("f", content("then"))
		setTimes(r, n)
		if got := r.readAll(n); got != content("then") {
			t.Errorf("%d bytes are read, beginning with %.8q", len(got), got)
		}
	})
}

// The times that are set take away the mtime that would have told of it.
func TestAChangeBetweenAnOwnWriteAndOwnTimesShows(t *testing.T) {
	old := time.Now().Add(-time.Hour)
	for name, row := range map[string]struct {
		size int
		wait time.Duration // for the times
	}{"small": {4, 0}, "large, a while later": {4 * cheapAgain, justWritten}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			n := r.create(r.Root(), "f", strings.Repeat("m", row.size)).Node
			r.learnt(n)
			h := r.opened(n, syscall.O_WRONLY)
			r.fill(h, "m")
			waitFor(t, "it is acknowledged", func() bool { _, dirty := n.file.data.Size(); return !dirty })
			time.Sleep(row.wait)
			hers := strings.Repeat("h", row.size)
			r.sameTime("f", hers)
			if _, _, err := r.Setattr(ctxOf(t), n, nil, SetAttr{Atime: &old, Mtime: &old}); err != nil {
				t.Fatal(err)
			}
			if r.pagesGood(n) {
				t.Error("the kernel's pages are called good")
			}
			for range 2 {
				if got := r.readAll(n); got != hers {
					t.Errorf("%d bytes are read, beginning with %.5q", len(got), got)
				}
			}
		})
	}
}

// sameTime writes a file's content anew on the remote side, in the second in which it was written last.
func (r *rig) sameTime(name, content string) {
	r.t.Helper()
	p := filepath.Join(r.dir, name)
	info, err := os.Stat(p)
	if err != nil {
		r.t.Fatal(err)
	}
	r.write(name, content)
	if err := os.Chtimes(p, info.ModTime(), info.ModTime()); err != nil {
		r.t.Fatal(err)
	}
}

// Whole seconds can't tell what was written here from what somebody else has made of it within the same second.
func TestAChangeInTheSecondOfAnOwnWriteShows(t *testing.T) {
	for name, acknowledge := range map[string]func(r *rig, n *Node){
		"learnt":     func(r *rig, n *Node) { r.learnt(n) },
		"not learnt": func(*rig, *Node) {},
		"asked about later": func(r *rig, n *Node) {
			time.Sleep(2 * time.Second) // until the second of the write is over, also as whole seconds tell it
			r.tap.OnRequest(nil)
			if _, _, err := r.Getattr(ctxOf(r.t), n, nil); err != nil {
				r.t.Fatal(err)
			}
		},
		"open for writing still": func(r *rig, n *Node) {
			h := r.opened(n, syscall.O_WRONLY)
			r.fill(h, "mine")
			waitFor(r.t, "it is acknowledged", func() bool { _, dirty := n.file.data.Size(); return !dirty })
		},
		"times set": func(r *rig, n *Node) {
			now := time.Now()
			if _, _, err := r.Setattr(ctxOf(r.t), n, nil, SetAttr{Atime: &now, Mtime: &now}); err != nil {
				r.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			changes := []string{"hers", "then"}
			if name == "asked about later" {
				r.refuse("FSTAT")     // that asks for the mtime
				changes = changes[:1] // the second is over, and what is read from now on stays the same
			}
			n := r.create(r.Root(), "f", "mine").Node
			acknowledge(r, n)
			for _, content := range changes {
				p := filepath.Join(r.dir, "f")
				info, err := os.Stat(p)
				if err != nil {
					t.Fatal(err)
				}
				r.write("f", content)
				if err := os.Chtimes(p, info.ModTime(), info.ModTime()); err != nil {
					t.Fatal(err)
				}
				if got := r.readAll(n); got != content {
					t.Errorf("the server has %q, and %q is read", content, got)
				}
			}
		})
	}
}

func TestAChangeInTheSecondOfALookShowsWhateverTheServersClock(t *testing.T) {
	for _, ahead := range []time.Duration{-time.Hour, -10 * time.Second, 0, time.Hour} {
		t.Run(fmt.Sprint(ahead), func(t *testing.T) {
			r := newRig(t, nil)
			r.learnClock(session.Attr{Flags: session.HasTimes, Mtime: uint32(time.Now().Add(ahead).Unix())}, time.Now()) // of a file made here
			second := time.Now().Add(ahead + time.Second)                                                                // not over yet when it is looked at
			write := func(content string) {
				r.write("f", content)
				if err := os.Chtimes(filepath.Join(r.dir, "f"), second, second); err != nil {
					t.Fatal(err)
				}
			}
			write("old")
			n := r.mustFind("f").Node
			if got := r.readAll(n); got != "old" {
				t.Fatal(got)
			}
			write("new")
			h, keep, err := r.Open(ctxOf(t), n, syscall.O_RDONLY)
			if err != nil {
				t.Fatal(err)
			}
			defer h.Release()
			if got := r.readOpen(h); got != "new" || keep {
				t.Errorf("read %q; the kernel's pages are called good: %v", got, keep)
			}
		})
	}
}
