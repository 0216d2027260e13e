package cache

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

func TestOpenSeesWhatChangedOnTheServer(t *testing.T) {
	r := newRig(t, nil)
	r.put("f", "old")
	n := r.mustFind("f").Node
	if got := r.readAll(n); got != "old" {
		t.Fatalf("read %q", got)
	}
	r.put("f", "newer")
	h, keep, err := r.Open(ctxOf(t), n, syscall.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()
	if keep {
		t.Error("the kernel's pages were called good")
	}
	if got := r.readOpen(h); got != "newer" {
		t.Errorf("read %q", got)
	}
}

func TestAReaderOfAReplacedFileDoesNotMixItsBytesIntoTheNewOne(t *testing.T) {
	r := newRig(t, nil)
	const size = 4 << 20
	r.put("f", strings.Repeat("o", size))
	n := r.mustFind("f").Node
	open := func() *Handle {
		h, _, err := r.Open(ctxOf(t), n, syscall.O_RDONLY)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(h.Release)
		return h
	}
	at := func(h *Handle) string {
		v, err := h.Read(ctxOf(t), 3<<20, 8)
		if err != nil {
			t.Fatal(err)
		}
		defer v.Release()
		return string(bytes.Join(v.Vecs, nil))
	}
	old := open()
	r.put("new", strings.Repeat("N", size+1))
	if err := os.Rename(filepath.Join(r.dir, "new"), filepath.Join(r.dir, "f")); err != nil {
		t.Fatal(err)
	}
	now := open()
	if got := at(old); got != "oooooooo" {
		t.Errorf("the handle of the old file reads %q", got)
	}
	if got := at(now); got != "NNNNNNNN" {
		t.Errorf("a handle opened after the replacement reads %q", got)
	}
}

func TestUnchangedFileKeepsThePages(t *testing.T) {
	r := newRig(t, nil)
	r.put("f", "same")
	n := r.mustFind("f").Node
	r.readAll(n)
	h, keep, err := r.Open(ctxOf(t), n, syscall.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	h.Release()
	if !keep {
		t.Error("the kernel's pages of an unchanged file were dropped")
	}
}

func TestOldPagesAreNotKeptThoughTheChangeIsKnown(t *testing.T) {
	for name, flags := range map[string]uint32{"for reading": syscall.O_RDONLY, "for writing": syscall.O_RDWR} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil) // without a Notifier: the kernel has not been told
			r.put("f", "old content")
			n := r.mustFind("f").Node
			r.readAll(n)
			r.replace("f", "new content")
			r.mu.Lock()
			n.expire() // what is known of it has had its time
			r.mu.Unlock()
			if _, _, err := r.Getattr(ctxOf(t), n, nil); err != nil { // stat(1)
				t.Fatal(err)
			}
			for i, want := range []bool{false, true} {
				h, keep, err := r.Open(ctxOf(t), n, flags)
				if err != nil {
					t.Fatal(err)
				}
				h.Release()
				if keep != want {
					t.Errorf("open %d after a stat that told of the change: the kernel's pages are called good: %v, want %v", i, keep, want)
				}
			}
		})
	}
}

func TestOwnWritesKeepThePages(t *testing.T) {
	r := newRig(t, nil)
	f := r.create(r.Root(), "f", strings.Repeat("mine", cheapAgain/4+1))
	r.learnt(f.Node)
	h, keep, err := r.Open(ctxOf(t), f.Node, syscall.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	h.Release()
	if !keep {
		t.Error("the pages of what was written here were dropped")
	}
}

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

// learnt waits until the server has said what mtime it gave to what was written here.
func (r *rig) learnt(n *Node) {
	r.t.Helper()
	waitFor(r.t, "the mtime is learnt", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return !n.mtimeUnknown() && !n.file.learning
	})
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

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func TestTrustEndsAfterItsTime(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Timeout = 50 * time.Millisecond })
	r.put("f", "old")
	n := r.mustFind("f").Node
	r.put("f", "longer")
	waitFor(t, "the new size shows", func() bool {
		a, _, err := r.Getattr(ctxOf(t), n, nil)
		return err == nil && a.Size == 6
	})
	if err := os.Remove(filepath.Join(r.dir, "f")); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the removal shows", func() bool { _, err := r.find("f"); return err != nil })
	r.put("g", "x")
	waitFor(t, "a new name shows", func() bool { return names(r.list(r.Root()))["g"] })
}

func TestWithoutADirectoryCacheEveryQuestionGoesToTheServer(t *testing.T) {
	r := newRig(t, func(o *Options) { o.NoDirCache = true })
	r.put("f", "old")
	n := r.mustFind("f").Node
	r.put("f", "longer")
	if a, ttl, err := r.Getattr(ctxOf(t), n, nil); err != nil || a.Size != 6 || ttl != 0 {
		t.Errorf("size %d, trusted for %v, %v", a.Size, ttl, err)
	}
	if _, err := r.find("g"); err == nil {
		t.Error("found what is not there")
	}
	r.put("g", "x")
	r.mustFind("g")
	r.list(r.Root())
	if err := os.Remove(filepath.Join(r.dir, "g")); err != nil {
		t.Fatal(err)
	}
	if names(r.list(r.Root()))["g"] {
		t.Error("a removed name is listed")
	}
}

func TestOwnChangesShowAtOnceInAListingKnownBefore(t *testing.T) {
	r := newRig(t, nil)
	r.put("gone", "x")
	r.put("moved", "x")
	r.list(r.Root())
	r.create(r.Root(), "new", "x")
	if err := r.Unlink(ctxOf(t), r.Root(), "gone"); err != nil {
		t.Fatal(err)
	}
	if err := r.Rename(ctxOf(t), r.Root(), "moved", r.Root(), "here", false); err != nil {
		t.Fatal(err)
	}
	got := names(r.list(r.Root()))
	for name, want := range map[string]bool{"new": true, "gone": false, "moved": false, "here": true} {
		if got[name] != want {
			t.Errorf("%s is listed: %v, want %v", name, got[name], want)
		}
	}
}

func TestInodeNumbersFollowTheListingAndStay(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Timeout = time.Millisecond })
	for i := range 30 {
		r.put(fmt.Sprint("f", i), "x")
	}
	first := r.list(r.Root())
	for i := 1; i < len(first); i++ {
		if first[i].Ino <= first[i-1].Ino {
			t.Fatalf("inode numbers do not grow along the listing: %d after %d", first[i].Ino, first[i-1].Ino)
		}
	}
	time.Sleep(5 * time.Millisecond) // the listing has had its time: the next is a new one
	for i, e := range r.list(r.Root()) {
		if e != first[i] {
			t.Errorf("entry %d was %+v and is %+v", i, first[i], e)
		}
	}
}

func TestAForgottenTreeLeavesNoNodes(t *testing.T) {
	r := newRig(t, func(o *Options) { o.MaxNames = 10 })
	for i := range 100 {
		r.put(fmt.Sprint("d/f", i), "x")
	}
	d := r.mustFind("d")
	var found []Found
	for _, e := range r.list(d.Node) {
		f, err := r.Lookup(ctxOf(t), d.Node, e.Name)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, f)
	}
	if got := r.Status().Names; got < 100 {
		t.Fatalf("%d nodes are known while the kernel holds 101", got)
	}
	for _, f := range found {
		r.Forget(f.Node.ID(), 1)
	}
	if got := r.Status().Names; got > 12 {
		t.Errorf("%d nodes are left, at most 10 idle ones, the root and d wanted", got)
	}
}

func TestAbsencesAreAskedAboutAgainWhereTheyAreNotTrusted(t *testing.T) {
	r := newRig(t, func(o *Options) { o.NoAbsence = true })
	if _, err := r.find("f"); err == nil {
		t.Fatal("found what is not there")
	}
	r.list(r.Root())
	r.put("f", "x")
	r.mustFind("f")
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

func TestAnOpenFileIsLookedAtAlsoWhereItsDirectoryMayNotBeSearched(t *testing.T) {
	r := newRig(t, nil)
	r.put("d/f", "four")
	f := r.mustFind("d/f")
	h, _, err := r.Open(ctxOf(t), f.Node, syscall.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()

	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "LSTAT" {
			return sftptest.Answer(session.StatusPermissionDenied, "Permission denied")
		}
		return sftptest.Pass()
	})
	r.put("d/f", "longer")
	r.mu.Lock()
	f.Node.expire()
	r.mu.Unlock()
	if a, _, err := r.Getattr(ctxOf(t), f.Node, nil); err != nil || a.Size != uint64(len("longer")) {
		t.Errorf("its size is shown as %d, want that of the changed file; %v", a.Size, err)
	}
}
