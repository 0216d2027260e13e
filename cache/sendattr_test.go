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

// Another directory would have the path by the time at which the request comes to the server: its file must not be changed.
func TestNoRenameComesBeforeAChangeOfAFileThatIsOnItsWay(t *testing.T) {
	type change struct {
		what string
		do   func(r *rig, n *Node) error
		done func(os.FileInfo) bool
	}
	changes := []change{{
		"open with O_TRUNC", func(r *rig, n *Node) error {
			h, _, err := r.Open(ctxOf(r.t), n, syscall.O_WRONLY|syscall.O_TRUNC)
			if err == nil {
				h.Release()
			}
			return err
		}, func(fi os.FileInfo) bool { return fi.Size() == 0 },
	}}
	for _, set := range setters {
		changes = append(changes, change{set.what, func(r *rig, n *Node) error {
			_, _, err := r.Setattr(ctxOf(r.t), n, nil, set.wish())
			return err
		}, set.done})
	}
	for mode, options := range map[string]func(*Options){"": nil, ", async": async} {
		for _, tc := range changes {
			t.Run(tc.what+mode, func(t *testing.T) {
				r := newRig(t, options)
				r.put("d/f", "ours")
				r.put("other/f", "theirs")
				r.list(r.Root())
				n := r.mustFind("d/f").Node
				r.holdRequests("OPEN", "LSTAT", "SETSTAT")
				done, renamed := make(chan error, 1), make(chan error, 1)
				go func() { done <- tc.do(r, n) }()
				r.waitHeld()
				go func() {
					err := r.Rename(ctxOf(t), r.Root(), "d", r.Root(), "e", false)
					if err == nil {
						err = r.Rename(ctxOf(t), r.Root(), "other", r.Root(), "d", false)
					}
					renamed <- err
				}()
				waitFor(t, "the rename waits for the change, or is done", func() bool {
					return len(renamed) > 0 || parkedIn("Rename", "waitAll") > 0
				})
				r.tap.OnRequest(nil)
				r.tap.Release()
				if err := <-done; err != nil {
					t.Errorf("%v", err)
				}
				if err := <-renamed; err != nil {
					t.Errorf("rename: %v", err)
				}
				if err := r.Sync(ctxOf(t)); err != nil {
					t.Error(err)
				}
				r.wantDone("e/f", tc.done)
				if fi, err := os.Stat(filepath.Join(r.dir, "d/f")); err != nil || tc.done(fi) {
					t.Errorf("the file that has its path now: %+v, %v", fi, err)
				}
			})
		}
	}
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

// With async a change of attributes may wait for room in the backlog while the file gets another path.
func TestAsyncARenameWaitsForAttributesAskedForByAnEarlierPath(t *testing.T) {
	r := newRig(t, async)
	r.put("d/f", "content")
	n := r.mustFind("d/f").Node
	for range maxBacklog {
		r.queue.backlog <- struct{}{}
	}
	was, renamed := make(chan error, 1), make(chan error, 1)
	go func() {
		_, _, err := r.Setattr(ctxOf(t), n, nil, setters[0].wish())
		was <- err
	}()
	waitFor(t, "the change waits for room", func() bool { return parkedIn("Setattr", "takeBacklog") > 0 })
	if err := r.Rename(ctxOf(t), r.Root(), "d", r.Root(), "e", false); err != nil {
		t.Fatal(err)
	}
	r.holdRequest("SETSTAT")
	for range maxBacklog {
		<-r.queue.backlog
	}
	r.waitHeld()
	go func() { renamed <- r.Rename(ctxOf(t), r.Root(), "e", r.Root(), "g", false) }()
	waitFor(t, "the rename waits for the chmod, or is done", func() bool {
		return len(renamed) > 0 || parkedIn("Rename", "waitAll") > 0
	})
	r.tap.Release()
	if err := <-was; err != nil {
		t.Errorf("chmod: %v", err)
	}
	if err := <-renamed; err != nil {
		t.Errorf("rename: %v", err)
	}
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Errorf("what was answered failed: %v", err)
	}
	r.wantDone("g/f", setters[0].done)
}
