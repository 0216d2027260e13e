package cache

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// linkedNames is a rig with a file that has these names, made by hard links here.
func linkedNames(t *testing.T, first string, more ...string) (*rig, *Node) {
	t.Helper()
	r := newRig(t, nil)
	r.put(first, "linked")
	n := r.mustFind(first).Node
	for _, name := range more {
		if _, err := r.Link(ctxOf(t), n, r.Root(), name); err != nil {
			t.Fatal(err)
		}
	}
	return r, n
}

// A file is asked for by one of its names, and may be opened by any.
func TestOfAHardLinkEachNameThatWasReplacedIsSeenAtTheNextOpen(t *testing.T) {
	for _, name := range []string{"a", "b", "c"} {
		r, _ := linkedNames(t, "a", "b", "c")
		for _, other := range []string{"a", "b", "c"} { // they are read, and may be kept open on the server
			if got, err := r.read(other); got != "linked" || err != nil {
				t.Fatal(got, err)
			}
		}
		r.replace(name, "another file")
		for _, other := range []string{"a", "b", "c"} {
			want := "linked"
			if other == name {
				want = "another file"
			}
			if got, err := r.read(other); got != want || err != nil {
				t.Errorf("%s was replaced, %s reads %q, %v", name, other, got, err)
			}
		}
	}
}

// changesByName are changes that go by one of a node's names.
func changesByName() map[string]func(r *rig, n *Node) error {
	mode := uint32(0o600)
	size := uint64(3)
	return map[string]func(r *rig, n *Node) error{
		"chmod": func(r *rig, n *Node) error {
			_, _, err := r.Setattr(ctxOf(r.t), n, nil, SetAttr{Mode: &mode})
			return err
		},
		"truncate": func(r *rig, n *Node) error {
			_, _, err := r.Setattr(ctxOf(r.t), n, nil, SetAttr{Size: &size})
			return err
		},
		"truncated by opening": func(r *rig, n *Node) error {
			h, _, err := r.Open(ctxOf(r.t), n, syscall.O_WRONLY|syscall.O_TRUNC)
			if err == nil {
				h.Release()
			}
			return err
		},
		"link": func(r *rig, n *Node) error {
			_, err := r.Link(ctxOf(r.t), n, r.Root(), "new")
			return err
		},
	}
}

// The kernel looks a name up once more after ESTALE, and not again.
func TestAHardLinkIsFoundByTheNameThatIsLeft(t *testing.T) {
	uses := changesByName()
	uses["read"] = func(r *rig, n *Node) error {
		h, _, err := r.Open(ctxOf(r.t), n, syscall.O_RDONLY)
		if err == nil {
			h.Release()
		}
		return err
	}
	for what, use := range uses {
		for age, after := range map[string]time.Duration{"at once": 0, "later": 25 * time.Second} {
			t.Run(what+" "+age, func(t *testing.T) {
				r, _ := linkedNames(t, "a", "b", "c", "d", "e")
				r.removeRemote("a", "b", "d", "e")
				r.pass(after)
				if err := r.asTheKernel("c", func(n *Node) error { return use(r, n) }); err != nil {
					t.Errorf("by the name that is left: %v", err)
				}
			})
		}
	}
}

// What is told of one name is told of that name: another may be another file's by now.
func TestLookingAtOneNameOfAHardLinkKeepsNoOther(t *testing.T) {
	uses := changesByName()
	state := func(r *rig, name string) string {
		fi, err := os.Stat(filepath.Join(r.dir, name))
		if err != nil {
			return err.Error()
		}
		st := fi.Sys().(*syscall.Stat_t)
		return fi.Mode().String() + " " + r.remote(name) + " " + string(rune('0'+st.Nlink))
	}
	for what, use := range uses {
		for _, gone := range []string{"a", "b"} {
			used := map[string]string{"a": "b", "b": "a"}[gone]
			for _, by := range []string{gone, used} {
				t.Run(what+" "+by+", replaced "+gone, func(t *testing.T) {
					r, _ := linkedNames(t, "a", "b")
					r.replace(gone, "another file")
					r.pass(25 * time.Second)
					r.mustFind(used)
					r.pass(15 * time.Second)
					other := map[string]string{"a": "b", "b": "a"}[by]
					before := state(r, other)
					if err := r.asTheKernel(by, func(n *Node) error { return use(r, n) }); err != nil {
						t.Fatal(err)
					}
					if after := state(r, other); after != before {
						t.Errorf("%s was %s, and is %s", other, before, after)
					}
				})
			}
		}
	}
}

// The questions about a file's names go out with its opening.
func TestOpeningAHardLinkCostsNoFurtherFlight(t *testing.T) {
	r, n := linkedNames(t, "a", "b", "c", "d")
	r.costs("open", 1, func() {
		h, _, err := r.Open(ctxOf(t), n, syscall.O_RDWR)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(h.Release)
	})
}

// Who has it open means that file, and names no name: the kernel can't look for another.
func TestAnOpenHardLinkThatWasChangedElsewhereIsChangedByItsDescriptor(t *testing.T) {
	mode, size, then := uint32(0o600), uint64(3), time.Unix(1e9, 0)
	for what, wish := range map[string]SetAttr{"ftruncate": {Size: &size}, "fchmod": {Mode: &mode}, "futimens": {Mtime: &then}} {
		t.Run(what, func(t *testing.T) {
			r, n := linkedNames(t, "a", "b")
			h := r.opened(n, syscall.O_RDWR)
			r.pass(25 * time.Second)
			f, err := os.OpenFile(filepath.Join(r.dir, "a"), os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteString(", and longer"); err != nil {
				t.Fatal(err)
			}
			if wish.Size == nil {
				h = nil // the kernel tells it of ftruncate(2) alone
			}
			if _, _, err := r.Setattr(ctxOf(t), n, h, wish); err != nil {
				t.Fatal(err)
			}
			fi, err := os.Stat(filepath.Join(r.dir, "b"))
			if err != nil {
				t.Fatal(err)
			}
			if wish.Size != nil && fi.Size() != 3 || wish.Mode != nil && fi.Mode() != 0o600 || wish.Mtime != nil && !fi.ModTime().Equal(then) {
				t.Errorf("it has %d bytes, %v, %v", fi.Size(), fi.Mode(), fi.ModTime())
			}
		})
	}
}

func TestAnOpenHardLinkWithoutItsNamesIsTruncatedByItsDescriptor(t *testing.T) {
	for _, left := range []string{"a", "b", ""} {
		r, n := linkedNames(t, "a", "b")
		h := r.opened(n, syscall.O_RDWR)
		for _, name := range []string{"a", "b"} {
			if name != left {
				r.replace(name, "another file")
			}
		}
		r.pass(25 * time.Second)
		size := uint64(3)
		if _, _, err := r.Setattr(ctxOf(t), n, h, SetAttr{Size: &size}); err != nil {
			t.Fatal(err)
		}
		if got := r.readOpen(h); got != "lin" {
			t.Errorf("it reads %q", got)
		}
		for _, name := range []string{"a", "b"} {
			want := "another file"
			if name == left {
				want = "lin"
			}
			if got := r.remote(name); got != want {
				t.Errorf("%s has %q", name, got)
			}
		}
	}
}

// The question about one name does not wait for a change that goes by another.
func TestAsyncAModeOnItsWayIsNotForgottenForTheAnswerOfAnOpenFile(t *testing.T) {
	r := newRig(t, async)
	r.put("a", "linked")
	n := r.mustFind("a").Node
	if _, err := r.Link(ctxOf(t), n, r.Root(), "b"); err != nil {
		t.Fatal(err)
	}
	h := r.opened(n, syscall.O_RDWR)
	r.pass(r.timeout - 2*time.Second)
	r.mu.Lock()
	n.until = r.now() + int64(r.timeout)
	r.nameTold(n, place{n.parent, n.name})
	r.mu.Unlock()
	r.holdRequests("SETSTAT")
	mode, when := uint32(0o600), time.Unix(1_000_000_000, 0)
	if _, _, err := r.Setattr(ctxOf(t), n, nil, SetAttr{Mode: &mode}); err != nil {
		t.Fatal(err)
	}
	r.pass(3 * time.Second) // now the name b has had its time, and is asked about before the next change
	if a, _, err := r.Setattr(ctxOf(t), n, nil, SetAttr{Atime: &when, Mtime: &when}); err != nil || a.Mode&0o777 != 0o600 {
		t.Errorf("while the mode is on its way it is shown as %o; %v", a.Mode, err)
	}
	r.tap.OnRequest(nil)
	r.tap.Release()
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	if a, _, err := r.Getattr(ctxOf(t), n, h); err != nil || a.Mode&0o777 != 0o600 {
		t.Errorf("when it has arrived it is shown as %o; %v", a.Mode, err)
	}
}
