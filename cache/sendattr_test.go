package cache

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
)

// setters are wishes for attributes, one of each kind of request, and whether the server has what they asked for.
var setters = []struct {
	what string
	wish func() SetAttr
	done func(os.FileInfo) bool
}{
	{"chmod", func() SetAttr { mode := uint32(0o640); return SetAttr{Mode: &mode} },
		func(fi os.FileInfo) bool { return fi.Mode().Perm() == 0o640 }},
	{"utimes", func() SetAttr { when := time.Unix(1_000_000_000, 0); return SetAttr{Atime: &when, Mtime: &when} },
		func(fi os.FileInfo) bool { return fi.ModTime().Unix() == 1_000_000_000 }},
	{"truncate", func() SetAttr { size := uint64(3); return SetAttr{Size: &size} },
		func(fi os.FileInfo) bool { return fi.Size() == 3 }},
}

func (r *rig) wantDone(name string, done func(os.FileInfo) bool) {
	r.t.Helper()
	fi, err := os.Stat(filepath.Join(r.dir, name))
	if err != nil || !done(fi) {
		r.t.Errorf("%s on the server: %+v, %v", name, fi, err)
	}
}

func TestAttributesSetBesideARenameAreTheFilesByItsNewName(t *testing.T) {
	for _, tc := range crossings {
		for _, set := range setters {
			t.Run(set.what+" "+tc.what, func(t *testing.T) {
				r := newRig(t, nil)
				r.put(tc.file, "content")
				n := r.mustFind(tc.file).Node
				r.holdReply("posix-rename@openssh.com")
				renamed, was := make(chan error, 1), make(chan error, 1)
				go func() { renamed <- r.Rename(ctxOf(t), r.Root(), tc.from, r.Root(), tc.to, false) }()
				r.waitHeld() // the server has done it, and nobody here knows
				go func() {
					_, _, err := r.Setattr(ctxOf(t), n, nil, set.wish())
					was <- err
				}()
				// Whoever does not wait for the rename has the wrong answer by then.
				select {
				case err := <-was:
					was <- err
				case <-time.After(100 * time.Millisecond):
				}
				r.tap.Release()
				if err := <-renamed; err != nil {
					t.Fatal(err)
				}
				if err := <-was; err != nil {
					t.Error(err)
				}
				r.wantDone(tc.fileThen, set.done)
			})
		}
	}
}

func TestAttributesThatARenameOvertakesAreSet(t *testing.T) {
	for _, tc := range crossings {
		for _, set := range setters {
			if set.what == "truncate" {
				continue // it has its turn, and the rename waits for it
			}
			t.Run(set.what+" "+tc.what, func(t *testing.T) {
				r := newRig(t, nil)
				r.put(tc.file, "content")
				n := r.mustFind(tc.file).Node
				r.holdRequest("SETSTAT")
				was := make(chan error, 1)
				go func() {
					_, _, err := r.Setattr(ctxOf(t), n, nil, set.wish())
					was <- err
				}()
				r.waitHeld()
				if err := r.Rename(ctxOf(t), r.Root(), tc.from, r.Root(), tc.to, false); err != nil {
					t.Fatal(err)
				}
				r.tap.Release()
				if err := <-was; err != nil {
					t.Error(err)
				}
				r.wantDone(tc.fileThen, set.done)
			})
		}
	}
}

// Another directory has the path by the time at which the request comes.
func TestAttributesThatTwoRenamesOvertakeAreSet(t *testing.T) {
	r := newRig(t, nil)
	r.put("d/f", "content")
	r.put("other/f", "content")
	r.mustFind("other/f")
	n := r.mustFind("d/f").Node
	r.holdRequest("SETSTAT")
	was := make(chan error, 1)
	go func() {
		_, _, err := r.Setattr(ctxOf(t), n, nil, setters[0].wish())
		was <- err
	}()
	r.waitHeld()
	for _, name := range [][2]string{{"d", "e"}, {"other", "d"}} {
		if err := r.Rename(ctxOf(t), r.Root(), name[0], r.Root(), name[1], false); err != nil {
			t.Fatal(err)
		}
	}
	r.tap.Release()
	if err := <-was; err != nil {
		t.Error(err)
	}
	r.wantDone("e/f", setters[0].done)
}

// With async a rename is in the tree before it is on its way: the path of before is still the file's, until it isn't.
func TestAsyncATruncationFollowsARenameThatBeganWhileItsBytesWereSaved(t *testing.T) {
	r := newRig(t, async)
	r.put("d/f", "content")
	r.list(r.Root())
	n := r.mustFind("d/f").Node
	h := r.opened(n, syscall.O_RDWR)
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "WRITE" || strings.HasPrefix(p.Name, "posix-rename") {
			return sftptest.Hold()
		}
		return sftptest.Pass()
	})
	if _, err := h.Write(ctxOf(t), []byte("CONTENT"), 0); err != nil {
		t.Fatal(err)
	}
	was := make(chan error, 1)
	go func() {
		_, _, err := r.Setattr(ctxOf(t), n, nil, setters[2].wish())
		was <- err
	}()
	r.waitHeld()
	if err := r.Rename(ctxOf(t), r.Root(), "d", r.Root(), "e", false); err != nil {
		t.Fatal(err)
	}
	if !r.tap.WaitHeld(2, longEnough) {
		t.Fatal("the rename never came")
	}
	r.tap.OnRequest(nil)
	r.tap.Release()
	if err := <-was; err != nil {
		t.Error(err)
	}
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Error(err)
	}
	r.wantDone("e/f", setters[2].done)
}

// By its name the attributes would be those of the file that has it next.
func TestAsyncAttributesOfAnOpenFileWithoutANameAreItsOwn(t *testing.T) {
	for _, set := range setters {
		t.Run(set.what, func(t *testing.T) {
			r := newRig(t, async)
			r.put("f", "content")
			r.list(r.Root())
			n := r.mustFind("f").Node
			h := r.opened(n, syscall.O_RDWR)
			old, err := os.Open(filepath.Join(r.dir, "f"))
			if err != nil {
				t.Fatal(err)
			}
			defer old.Close()
			r.holdReply("REMOVE")
			if err := r.Unlink(ctxOf(t), r.Root(), "f"); err != nil {
				t.Fatal(err)
			}
			r.waitHeld() // the server has done it
			_, next, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_WRONLY, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			defer next.Release()
			was := make(chan error, 1)
			go func() {
				_, _, err := r.Setattr(ctxOf(t), n, h, set.wish())
				was <- err
			}()
			// Whoever goes by the name has the wrong answer by then.
			select {
			case err := <-was:
				was <- err
			case <-time.After(100 * time.Millisecond):
			}
			r.tap.Release()
			if err := <-was; err != nil {
				t.Error(err)
			}
			if err := r.Sync(ctxOf(t)); err != nil {
				t.Error(err)
			}
			if fi, err := old.Stat(); err != nil || !set.done(fi) {
				t.Errorf("the open file is %+v, %v", fi, err)
			}
			if fi, err := os.Stat(filepath.Join(r.dir, "f")); err != nil || set.done(fi) {
				t.Errorf("the file that has its name is %+v, %v", fi, err)
			}
		})
	}
}

func TestAsyncAttributesSetBeforeARemovalFindTheFile(t *testing.T) {
	r := newRig(t, async)
	r.put("f", "content")
	r.list(r.Root())
	n := r.mustFind("f").Node
	r.holdRequest("SETSTAT")
	for _, mode := range []uint32{0o600, 0o640} {
		if _, _, err := r.Setattr(ctxOf(t), n, nil, SetAttr{Mode: &mode}); err != nil {
			t.Fatal(err)
		}
	}
	r.waitHeld() // the second waits for the first
	if err := r.Unlink(ctxOf(t), r.Root(), "f"); err != nil {
		t.Fatal(err)
	}
	r.tap.Release()
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Error(err)
	}
}
