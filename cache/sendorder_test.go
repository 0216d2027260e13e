package cache

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
)

// The reader waits for the first of the requests that one read makes, so that goes out before the others.
func TestTheFirstRequestOfAReadGoesOutFirst(t *testing.T) {
	r := newRig(t, nil)
	content := strings.Repeat("0123456789abcdef", 3<<20/16)
	r.put("f", content)
	f := r.mustFind("f")
	for i := range 5 {
		changed := time.Unix(1e9+int64(i), 0) // read anew each time
		if err := os.Chtimes(filepath.Join(r.dir, "f"), changed, changed); err != nil {
			t.Fatal(err)
		}
		h, _, err := r.Open(ctxOf(t), f.Node, syscall.O_RDONLY)
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		sent := map[int][]int64{} // offsets, by channel
		r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
			if p.Name == "READ" {
				mu.Lock()
				sent[p.Channel] = append(sent[p.Channel], p.Offset())
				mu.Unlock()
			}
			return sftptest.Pass()
		})
		if got, err := r.readFrom(h, 0, len(content)); err != nil || got != content {
			t.Fatalf("%d bytes, or others than there are: %v", len(got), err)
		}
		r.tap.OnRequest(nil)
		lowest := slices.Min(slices.Concat(slices.Collect(maps.Values(sent))...))
		for ch, offsets := range sent {
			if slices.Contains(offsets, lowest) && offsets[0] != lowest {
				t.Fatalf("READs on channel %d: %d", ch, offsets)
			}
		}
		h.Release()
	}
}

// As git makes its objects, and mail servers their messages: written under one name, linked to another, and the first taken away.
func TestWhatIsLinkedToItsNameIsMadeByTheFirst(t *testing.T) {
	r := newRig(t, async)
	r.list(r.Root())
	r.linkOnce()
	r.holdReply("MKDIR")
	d, err := r.Mkdir(ctxOf(t), r.Root(), "d", 0o755)
	if err != nil {
		t.Fatal(err)
	}
	f := r.create(d.Node, "tmp", "content")
	mode := uint32(0o444)
	if _, _, err := r.Setattr(ctxOf(t), f.Node, nil, SetAttr{Mode: &mode}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Link(ctxOf(t), f.Node, d.Node, "final"); err != nil {
		t.Fatal(err)
	}
	if err := r.Unlink(ctxOf(t), d.Node, "tmp"); err != nil {
		t.Fatal(err)
	}
	r.tap.OnReply(nil)
	r.tap.Release()
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Error(err)
	}
	if got := r.remote("d/final"); got != "content" {
		t.Errorf("the server has %q", got)
	}
	if a := r.mustFind("d/final").Attr; a.Mode&0o777 != mode || a.Nlink != 1 {
		t.Errorf("it is shown with mode %o and %d links", a.Mode, a.Nlink)
	}
	if _, err := os.Lstat(filepath.Join(r.dir, "d/tmp")); err == nil {
		t.Error("the first name is still there")
	}
}

// git sets the time of an object that it finds again, just after it was made.
func TestAttributesOfALinkedNameAreSetWhileTheFirstIsTakenAway(t *testing.T) {
	for _, set := range setters {
		t.Run(set.what, func(t *testing.T) {
			r := newRig(t, async)
			r.list(r.Root())
			r.linkOnce()
			f := r.create(r.Root(), "tmp", "content")
			if err := r.Sync(ctxOf(t)); err != nil {
				t.Fatal(err)
			}
			r.holdReply("hardlink@openssh.com")
			if _, err := r.Link(ctxOf(t), f.Node, r.Root(), "final"); err != nil {
				t.Fatal(err)
			}
			if err := r.Unlink(ctxOf(t), r.Root(), "tmp"); err != nil {
				t.Fatal(err)
			}
			r.waitHeld()
			r.holdReply("REMOVE")
			r.tap.Release()
			r.waitHeld() // the server has taken the first name away, and nobody here knows
			sent := r.tap.Count("SETSTAT")
			was := make(chan error, 1)
			go func() {
				_, _, err := r.Setattr(ctxOf(t), f.Node, nil, set.wish())
				was <- err
			}()
			waitFor(t, "the wish is sent beside the removal", func() bool { return r.tap.Count("SETSTAT") > sent })
			r.tap.OnReply(nil)
			r.tap.Release()
			if err := <-was; err != nil {
				t.Error(err)
			}
			if err := r.Sync(ctxOf(t)); err != nil {
				t.Error(err)
			}
			r.wantDone("final", set.done)
		})
	}
}

// Before the file is made, the name by which it is to be made goes to another of its names.
func TestAFileIsMadeByTheNameThatItWasGivenFirst(t *testing.T) {
	r := newRig(t, async)
	r.list(r.Root())
	r.linkOnce()
	r.holdReply("MKDIR")
	d, err := r.Mkdir(ctxOf(t), r.Root(), "d", 0o755)
	if err != nil {
		t.Fatal(err)
	}
	f := r.create(d.Node, "first", "content")
	if _, err := r.Link(ctxOf(t), f.Node, d.Node, "second"); err != nil {
		t.Fatal(err)
	}
	for _, names := range [][2]string{{"second", "third"}, {"first", "second"}} {
		if err := r.Rename(ctxOf(t), d.Node, names[0], d.Node, names[1], false); err != nil {
			t.Fatal(err)
		}
	}
	r.waitHeld()
	r.tap.Release()
	r.wantSynced("content", "d/second", "d/third")
}

// Whoever changes a file by one name and then by another has the last word there, as everywhere.
func TestAttributesOfAHardLinkAreSetInOrder(t *testing.T) {
	for _, set := range setters {
		t.Run(set.what, func(t *testing.T) {
			r := newRig(t, async)
			r.list(r.Root())
			n := r.linkedPair()
			mode, when := uint32(0o600), time.Unix(1_100_000_000, 0)
			r.holdRequest("SETSTAT")
			if _, _, err := r.Setattr(ctxOf(t), n, nil, SetAttr{Mode: &mode, Atime: &when, Mtime: &when}); err != nil {
				t.Fatal(err)
			}
			r.waitHeld()
			if err := r.Unlink(ctxOf(t), r.Root(), "a"); err != nil {
				t.Fatal(err)
			}
			was, sent := make(chan error, 1), r.tap.Count("SETSTAT")
			go func() {
				_, _, err := r.Setattr(ctxOf(t), n, nil, set.wish()) // by its other name
				was <- err
			}()
			waitFor(t, "the second change waits, or is sent", func() bool {
				return r.tap.Count("SETSTAT") > sent || parkedIn("runAnswered", "waitAll") > 1 || parkedIn("Setattr", "waitAll") > 0
			})
			r.tap.OnRequest(nil)
			r.tap.Release()
			if err := <-was; err != nil {
				t.Error(err)
			}
			if err := r.Sync(ctxOf(t)); err != nil {
				t.Error(err)
			}
			r.wantDone("b", set.done)
		})
	}
}

// Bytes have no turn among the changes of names and attributes.
func TestBytesDoNotOvertakeTimesThatWereSetBeforeThem(t *testing.T) {
	first, last := time.Unix(1_000_000_000, 0), time.Unix(1_100_000_000, 0)
	for what, linked := range map[string]bool{"a file": false, "a hard link": true} {
		for then, want := range map[string]time.Time{"written": {}, "written and set again": last} {
			t.Run(what+" "+then, func(t *testing.T) {
				r := newRig(t, async)
				r.put("f", "content")
				r.list(r.Root())
				n := r.mustFind("f").Node
				if linked {
					if _, err := r.Link(ctxOf(t), n, r.Root(), "g"); err != nil {
						t.Fatal(err)
					}
				}
				h := r.opened(n, syscall.O_RDWR)
				r.holdRequest("SETSTAT")
				set := func(at time.Time) {
					t.Helper()
					if _, _, err := r.Setattr(ctxOf(t), n, nil, SetAttr{Atime: &at, Mtime: &at}); err != nil {
						t.Error(err)
					}
				}
				set(first)
				r.waitHeld()
				written := make(chan error, 1)
				go func() {
					_, err := h.Write(ctxOf(t), []byte("CON"), 0)
					written <- err
				}()
				select {
				case err := <-written:
					t.Errorf("the bytes are taken before the times are set: %v", err)
					written <- err
				case <-time.After(50 * time.Millisecond): // a write that does not wait takes microseconds
				}
				r.tap.Release()
				if err := <-written; err != nil {
					t.Error(err)
				}
				if !want.IsZero() {
					set(want)
				}
				if err := r.Sync(ctxOf(t)); err != nil {
					t.Error(err)
				}
				info, err := os.Stat(filepath.Join(r.dir, "f"))
				if err != nil {
					t.Fatal(err)
				}
				if at := info.ModTime(); want.IsZero() && at.Before(time.Now().Add(-time.Hour)) || !want.IsZero() && !at.Equal(want) {
					t.Errorf("the server has the time %v", at)
				}
			})
		}
	}
}
