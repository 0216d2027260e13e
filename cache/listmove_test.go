package cache

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
)

// OpenSSH looks each name up below the path by which the directory was opened: where that leads nowhere any more, the listing is
// empty, and where it leads to another directory, the attributes are of the files there.
func TestAListingThatCrossesARenameOfItsDirectoryIsTheDirectorys(t *testing.T) {
	for name, replace := range map[string]bool{"the path leads nowhere": false, "another directory has the path": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			for i := range 3 {
				r.put(fmt.Sprint("above/dir/f", i), "five5")
				r.put(fmt.Sprint("other/dir/f", i), "longer content")
			}
			r.mustFind("above")
			r.mustFind("other")
			dir := r.mustFind("above/dir").Node
			r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
				if p.Name == "READDIR" {
					return sftptest.Hold()
				}
				return sftptest.Pass()
			})
			listed := make(chan []DirEntry)
			go func() { listed <- r.list(dir) }()
			if !r.tap.WaitHeld(1, 10*time.Second) {
				t.Fatal("it is not listed")
			}
			if err := r.Rename(ctxOf(t), r.Root(), "above", r.Root(), "moved", false); err != nil {
				t.Fatal(err)
			}
			if replace {
				if err := r.Rename(ctxOf(t), r.Root(), "other", r.Root(), "above", false); err != nil {
					t.Fatal(err)
				}
			}
			r.tap.OnRequest(nil)
			r.tap.Release()
			if all := <-listed; len(all) != 3 {
				t.Errorf("%d of 3 names were listed", len(all))
			}
			for i := range 3 {
				if got := r.mustFind(fmt.Sprint("moved/dir/f", i)).Attr.Size; got != 5 {
					t.Errorf("f%d has %d bytes, not 5\n%s", i, got, strings.Join(r.tap.Log(), "\n"))
				}
			}
		})
	}
}

// What was listed before the line broke comes again a part at a time, and a reader may be further on than that.
func TestAListingThatBeginsAgainLosesNoName(t *testing.T) {
	r := newRig(t, nil)
	const files = 350 // four answers of the server
	for i := range files {
		r.put(fmt.Sprintf("d/f%03d", i), "x")
	}
	dir := r.mustFind("d").Node
	// Of the answers of the first session two come, of those of the second one.
	var left, opened atomic.Int32
	r.tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Request == nil {
			return sftptest.Pass()
		}
		switch p.Request.Name {
		case "OPENDIR":
			left.Store(2)
			if opened.Add(1) > 1 {
				left.Store(1)
			}
		case "READDIR":
			if left.Add(-1) < 0 {
				return sftptest.Hold()
			}
		}
		return sftptest.Pass()
	})
	d, err := r.OpenDir(ctxOf(t), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Release()
	seen := map[string]bool{}
	read := func(off uint64, most int) uint64 {
		for e := range r.entries(d, off) {
			seen[e.Name] = true
			off = e.Off
			if most--; most == 0 {
				break
			}
		}
		return off
	}
	off := read(0, 105)
	if !r.tap.WaitHeld(1, 10*time.Second) {
		t.Fatal("the listing is not held")
	}
	r.srv.Cut()
	waitFor(t, "the listing has begun again", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return !d.list.ents.at(50).doubt && d.list.ents.at(150).doubt
	})
	rest := make(chan struct{})
	go func() {
		defer close(rest)
		read(off, files)
	}()
	select {
	case <-rest:
		t.Error("the listing came to its end")
	case <-time.After(100 * time.Millisecond): // time to go wrong
	}
	r.tap.OnReply(nil)
	r.tap.Release()
	<-rest
	if len(seen) != files+2 {
		t.Errorf("%d of %d names were read", len(seen)-2, files)
	}
}

// scandir(3) beside a rename of each name, or a copy of it: what a program makes of what it reads is nothing more to read.
func TestReadingADirectoryEndsThoughEachNameMakesAnother(t *testing.T) {
	for name, do := range map[string]func(r *rig, e string) error{
		"moved away and back": func(r *rig, e string) error {
			return errors.Join(r.Rename(ctxOf(r.t), r.Root(), e, r.Root(), "tmp", false), r.Rename(ctxOf(r.t), r.Root(), "tmp", r.Root(), e, false))
		},
		"removed and made again": func(r *rig, e string) error {
			err := r.Unlink(ctxOf(r.t), r.Root(), e)
			r.create(r.Root(), e, "x")
			return err
		},
		"copied": func(r *rig, e string) error {
			r.create(r.Root(), e+".bak", "x")
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			for _, f := range []string{"a", "b", "c"} {
				r.put(f, "x")
			}
			r.list(r.Root())
			d, err := r.OpenDir(ctxOf(t), r.Root())
			if err != nil {
				t.Fatal(err)
			}
			defer d.Release()
			var read []string
			for e := range r.entries(d, 0) {
				if e.Name == "." || e.Name == ".." {
					continue
				}
				if read = append(read, e.Name); len(read) == 20 {
					break
				}
				if err := do(r, e.Name); err != nil {
					t.Fatal(err)
				}
			}
			if slices.Sort(read); !slices.Equal(read, []string{"a", "b", "c"}) {
				t.Errorf("read %q", read)
			}
			d.Rewind()
			names := 0
			for range r.entries(d, 0) {
				names++
			}
			if want := map[bool]int{true: 2 + 6, false: 2 + 3}[name == "copied"]; names != want {
				t.Errorf("after rewinddir there are %d entries, want %d", names, want)
			}
		})
	}
}

// With async a directory may have another path by the time at which what is made in it, for which its listing waits, is done.
func TestAsyncAListingThatWaitsIsOfTheDirectoryByItsNewPath(t *testing.T) {
	r := newRig(t, async)
	r.put("d/f", "x")
	r.list(r.Root())
	dir := r.mustFind("d").Node
	r.list(dir)
	r.holdReply("MKDIR")
	if _, err := r.Mkdir(ctxOf(t), dir, "made", 0o755); err != nil {
		t.Fatal(err)
	}
	r.waitHeld()
	r.mu.Lock()
	dir.dir.list.until = 0
	r.mu.Unlock()
	listed := make(chan map[string]bool, 1)
	go func() {
		d, err := r.OpenDir(ctxOf(t), dir)
		if err != nil {
			t.Error(err)
			listed <- nil
			return
		}
		d.Release()
		listed <- names(r.list(dir))
	}()
	waitFor(t, "the listing waits", func() bool { return parkedIn("fetchListing", "waitIn") > 0 })
	if err := r.Rename(ctxOf(t), r.Root(), "d", r.Root(), "e", false); err != nil {
		t.Fatal(err)
	}
	r.tap.OnReply(nil)
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "OPENDIR" {
			return sftptest.Hold()
		}
		return sftptest.Pass()
	})
	r.tap.Release()
	r.waitHeld()
	if err := r.queue.drain(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	r.tap.OnRequest(nil)
	r.tap.Release()
	if got := <-listed; !got["f"] || !got["made"] {
		t.Errorf("listed: %v", got)
	}
}
