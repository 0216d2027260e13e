package cache

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// TestAsyncAfterRefusalsTheTreeIsTheServers has a server refuse changes at random that programs were told are done: after
// Sync has reported it, what the cache shows is what the server has.
func TestAsyncAfterRefusalsTheTreeIsTheServers(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := newRig(t, async)
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "which are refused"), 1))
		refused := 0
		r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
			switch p.Name {
			case "MKDIR", "RMDIR", "REMOVE", "posix-rename@openssh.com", "SETSTAT", "OPEN":
				if rng.IntN(5) == 0 {
					refused++
					return sftptest.Answer(session.StatusPermissionDenied, "not today")
				}
			}
			return sftptest.Pass()
		})
		names := []string{"a", "b", "c"}
		dirs := []string{"", "a", "b"}
		find := func(p string) *Node {
			if p == "" {
				return r.Root()
			}
			f, err := r.find(p)
			if err != nil || !f.Node.isDir() {
				return nil
			}
			return f.Node
		}
		r.list(r.Root())
		for range rapid.IntRange(5, 40).Draw(rt, "steps") {
			dir := find(rapid.SampledFrom(dirs).Draw(rt, "dir"))
			name := rapid.SampledFrom(names).Draw(rt, "name")
			if dir == nil {
				continue
			}
			// A refusal that is told at once is as good as one that is told later.
			switch rapid.SampledFrom([]string{"mkdir", "create", "unlink", "rmdir", "rename", "chmod", "list"}).Draw(rt, "op") {
			case "mkdir":
				_, _ = r.Mkdir(ctxOf(t), dir, name, 0o755)
			case "create":
				if _, h, err := r.Create(ctxOf(t), dir, name, syscall.O_WRONLY, 0o644); err == nil {
					_, _ = h.Write(ctxOf(t), []byte(name), 0)
					h.Release()
				}
			case "unlink":
				_ = r.Unlink(ctxOf(t), dir, name)
			case "rmdir":
				_ = r.Rmdir(ctxOf(t), dir, name)
			case "rename":
				if to := find(rapid.SampledFrom(dirs).Draw(rt, "new dir")); to != nil {
					_ = r.Rename(ctxOf(t), dir, name, to, rapid.SampledFrom(names).Draw(rt, "new name"), false)
				}
			case "chmod":
				if f, err := r.Lookup(ctxOf(t), dir, name); err == nil {
					mode := uint32(0o700)
					_, _, _ = r.Setattr(ctxOf(t), f.Node, nil, SetAttr{Mode: &mode})
				}
			case "list":
				if d, err := r.OpenDir(ctxOf(t), dir); err == nil {
					d.Release()
				}
			}
		}
		_ = r.Sync(ctxOf(t))
		r.tap.OnRequest(nil)
		want, got := map[string]string{}, map[string]string{}
		err := filepath.WalkDir(r.dir, func(p string, d os.DirEntry, err error) error {
			if err != nil || p == r.dir {
				return err
			}
			fi, err := d.Info()
			if err == nil {
				want[strings.TrimPrefix(p, r.dir+"/")] = fmt.Sprint(fi.Mode())
			}
			return err
		})
		if err != nil {
			rt.Fatal(err)
		}
		var walk func(n *Node, p string)
		walk = func(n *Node, p string) {
			for _, e := range r.list(n) {
				f, err := r.Lookup(ctxOf(t), n, e.Name)
				if err != nil {
					rt.Fatalf("%s is listed and not there: %v", p+e.Name, err)
				}
				got[p+e.Name] = fmt.Sprint(fileMode(f.Attr.Mode))
				if e.Mode == syscall.S_IFDIR {
					walk(f.Node, p+e.Name+"/")
				}
			}
		}
		walk(r.Root(), "")
		if fmt.Sprint(got) != fmt.Sprint(want) {
			rt.Fatalf("after %d refusals the cache shows\n%v\nthe server has\n%v", refused, got, want)
		}
	})
}

func fileMode(m uint32) os.FileMode {
	mode := os.FileMode(m & 0o777)
	if m&syscall.S_IFMT == syscall.S_IFDIR {
		mode |= os.ModeDir
	}
	return mode
}

// rm -r of a directory in which others have made something asks again for what is in it.
func TestADirectoryThatIsNotEmptyIsListedAnew(t *testing.T) {
	r := newRig(t, nil)
	d, err := r.Mkdir(ctxOf(t), r.Root(), "d", 0o755)
	if err != nil {
		t.Fatal(err)
	}
	r.put("d/theirs", "x")
	wantErrno(t, r.Rmdir(ctxOf(t), r.Root(), "d"), syscall.ENOTEMPTY)
	if got := names(r.list(d.Node)); !got["theirs"] {
		t.Errorf("in the directory that is not empty: %v", got)
	}
}

func TestAFileWhoseRenameIsRefusedKeepsItsName(t *testing.T) {
	r := newRig(t, async)
	r.put("f", "old")
	r.put("g", "theirs")
	r.list(r.Root())
	n := r.mustFind("f").Node
	r.mustFind("g")
	h, _, err := r.Open(ctxOf(t), n, syscall.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	r.refuse("posix-rename@openssh.com")
	if err := r.Rename(ctxOf(t), r.Root(), "f", r.Root(), "g", false); err != nil {
		t.Fatal(err)
	}
	if err := r.Sync(ctxOf(t)); err == nil {
		t.Error("nothing is reported of the rename that was refused")
	}
	r.srv.Cut() // the file is found again by its name
	if _, err := h.Write(ctxOf(t), []byte("new"), 0); err != nil {
		t.Fatal(err)
	}
	wantErrno(t, h.Fsync(ctxOf(t)), syscall.EACCES) // which tells of the rename
	if err := h.Fsync(ctxOf(t)); err != nil {
		t.Error(err)
	}
	h.Release()
	if f := r.mustFind("f"); f.Node != n {
		t.Error("by its name another file is found")
	}
	if f, g := r.remote("f"), r.remote("g"); f != "new" || g != "theirs" {
		t.Errorf("on the server f has %q and g has %q", f, g)
	}
	if got := r.readAll(r.mustFind("g").Node); got != "theirs" {
		t.Errorf("g is read as %q", got)
	}
}

// What has it open and is not saved yet finds it by its name when the line was lost.
func TestAsyncAFileWhoseRemovalIsRefusedIsWrittenByItsName(t *testing.T) {
	for name, remove := range map[string]func(r *rig) error{
		"REMOVE":                   func(r *rig) error { return r.Unlink(ctxOf(t), r.Root(), "f") },
		"posix-rename@openssh.com": func(r *rig) error { return r.Rename(ctxOf(t), r.Root(), "g", r.Root(), "f", false) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, async)
			r.put("f", "old")
			r.put("g", "theirs")
			r.list(r.Root())
			n := r.mustFind("f").Node
			r.mustFind("g")
			h := r.opened(n, syscall.O_RDWR)
			r.refuse(name)
			if err := remove(r); err != nil {
				t.Fatal(err)
			}
			if err := r.Sync(ctxOf(t)); err == nil {
				t.Error("nothing is reported of what was refused")
			}
			r.srv.Cut()
			if _, err := h.Write(ctxOf(t), []byte("new"), 0); err != nil {
				t.Fatal(err)
			}
			_ = h.Fsync(ctxOf(t)) // which tells of what was refused
			if err := h.Fsync(ctxOf(t)); err != nil {
				t.Error(err)
			}
			if f := r.mustFind("f"); f.Node != n {
				t.Error("by its name another file is found")
			}
			if f, g := r.remote("f"), r.remote("g"); f != "new" || g != "theirs" {
				t.Errorf("on the server f has %q and g has %q", f, g)
			}
			if got := r.rescued("f"); len(got) > 0 {
				t.Errorf("rescued: %q", got)
			}
		})
	}
}

// What is there is not what was made and moved.
func TestAsyncWhatIsInThePlaceOfARefusedMakingIsNotMovedForIt(t *testing.T) {
	r := newRig(t, async)
	r.list(r.Root())
	made, err := r.Mkdir(ctxOf(t), r.Root(), "a", 0o755)
	if err != nil {
		t.Fatal(err)
	}
	a := made.Node
	r.create(a, "c", "content")
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	answer := r.refuseLater("REMOVE") // a rename behind what was refused would wait for the server
	if err := r.Unlink(ctxOf(t), a, "c"); err != nil {
		t.Fatal(err)
	}
	d, err := r.Mkdir(ctxOf(t), a, "c", 0o755) // which is refused, as the file is there still
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Rename(ctxOf(t), a, "c", r.Root(), "d", false); err != nil {
		t.Fatal(err)
	}
	answer()
	if err := r.Sync(ctxOf(t)); err == nil {
		t.Error("nothing is reported of what was refused")
	}
	if got := names(r.list(r.Root())); got["d"] {
		t.Errorf("listed: %v", got)
	}
	if f := r.mustFind("a/c"); f.Node == d.Node || r.readAll(f.Node) != "content" {
		t.Error("by its name something else is found")
	}
}
