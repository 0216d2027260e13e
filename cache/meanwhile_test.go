package cache

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// What others do on the server between what is known here and what is done here.

// written makes a file in the flags given, writes content and closes it.
func (r *rig) written(dir *Node, name, content string, flags uint32) {
	r.t.Helper()
	_, h, err := r.Create(ctxOf(r.t), dir, name, flags|syscall.O_CREAT, 0o644)
	if err != nil {
		r.t.Fatal(err)
	}
	defer h.Release()
	if flags&syscall.O_APPEND != 0 {
		_, err = h.Append(ctxOf(r.t), []byte(content), 0)
	} else {
		_, err = h.Write(ctxOf(r.t), []byte(content), 0)
	}
	if err = errors.Join(err, h.Flush(ctxOf(r.t))); err != nil {
		r.t.Fatal(err)
	}
}

func TestAsyncAppendsNothingIntoAFileThatCameMeanwhile(t *testing.T) {
	r := newRig(t, async)
	r.list(r.Root())
	const theirs = "what another client has written there"
	r.put("log", theirs)
	r.written(r.Root(), "log", "ours", syscall.O_WRONLY|syscall.O_APPEND)
	if err := r.Sync(ctxOf(t)); !errors.Is(err, syscall.EEXIST) {
		t.Errorf("Sync tells of %v, want that the file exists", err)
	}
	if got := r.remote("log"); got != theirs {
		t.Errorf("the server has %q", got)
	}
	rescued := r.Status().Rescued
	if len(rescued) != 1 || !strings.Contains(rescued[0], filepath.Join(r.dir, "log")) {
		t.Errorf("rescued: %q", rescued)
	}
	if got := r.readAll(r.mustFind("log").Node); got != theirs {
		t.Errorf("the file is read as %q", got)
	}
}

func TestAsyncFillsADirectoryThatCameMeanwhile(t *testing.T) {
	for name, before := range map[string]func(*rig){
		"made by another": func(r *rig) {
			r.list(r.Root())
			r.put("d/theirs", "x")
		},
		"not removed, as it was not empty": func(r *rig) {
			r.put("d/theirs", "x")
			d := r.mustFind("d").Node
			os.Remove(filepath.Join(r.dir, "d/theirs"))
			r.list(r.Root())
			r.list(d)
			r.put("d/theirs", "x")
			r.holdRequest("RMDIR") // until the directory is made: of a removal known to have failed it would be refused at once
			if err := r.Rmdir(ctxOf(t), r.Root(), "d"); err != nil {
				t.Fatal(err)
			}
			r.waitHeld()
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, async)
			before(r)
			d, err := r.Mkdir(ctxOf(t), r.Root(), "d", 0o755)
			if err != nil {
				t.Fatal(err)
			}
			r.tap.Release()
			r.written(d.Node, "f", "ours", syscall.O_WRONLY)
			if err := r.Sync(ctxOf(t)); err == nil {
				t.Error("nobody is told that the directory was there")
			}
			if got := r.remote("d/f"); got != "ours" {
				t.Errorf("the server has %q", got)
			}
			if rescued := r.Status().Rescued; len(rescued) > 0 {
				t.Errorf("rescued: %q", rescued)
			}
			var names []string
			for _, e := range r.list(r.mustFind("d").Node) {
				names = append(names, e.Name)
			}
			slices.Sort(names)
			if !slices.Equal(names, []string{"f", "theirs"}) {
				t.Errorf("the directory is listed with %q", names)
			}
		})
	}
}

func TestAsyncWritesAFileWhoseFormerWasNotRemoved(t *testing.T) {
	r := newRig(t, async)
	r.put("f", "the former content")
	r.list(r.Root())
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "REMOVE" {
			return sftptest.Answer(session.StatusPermissionDenied, "not yours")
		}
		return sftptest.Pass()
	})
	if err := r.Unlink(ctxOf(t), r.Root(), "f"); err != nil {
		t.Fatal(err)
	}
	r.written(r.Root(), "f", "ours", syscall.O_WRONLY|syscall.O_TRUNC)
	if err := r.Sync(ctxOf(t)); err == nil {
		t.Error("nobody is told that the file was not removed")
	}
	if got := r.remote("f"); got != "ours" {
		t.Errorf("the server has %q", got)
	}
	if got := r.readAll(r.mustFind("f").Node); got != "ours" {
		t.Errorf("the file is read as %q", got)
	}
}

// A name that has another kind or another file on the server is there all the same.
func TestANameThatWasGivenToAnotherIsFoundAndListed(t *testing.T) {
	for name, change := range map[string]func(r *rig){
		"the file has become a directory": func(r *rig) {
			os.Remove(filepath.Join(r.dir, "a"))
			os.Mkdir(filepath.Join(r.dir, "a"), 0o755)
		},
		"the file has become a link that leads nowhere": func(r *rig) {
			os.Remove(filepath.Join(r.dir, "a"))
			os.Symlink("nowhere", filepath.Join(r.dir, "a"))
		},
		"the file of two names has grown": func(r *rig) {
			r.append("a", "more")
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.put("a", "content")
			n := r.mustFind("a").Node
			if _, err := r.Link(ctxOf(t), n, r.Root(), "b"); err != nil {
				t.Fatal(err)
			}
			r.list(r.Root())
			change(r)
			_, _, err := r.Open(ctxOf(t), n, syscall.O_RDONLY)
			wantErrno(t, err, syscall.ESTALE) // so that the kernel looks the name up again
			if _, err := r.Lookup(ctxOf(t), r.Root(), "a"); err != nil {
				t.Errorf("then it is looked up: %v", err)
			}
			names := 0
			for _, e := range r.list(r.Root()) {
				if e.Name == "a" || e.Name == "b" {
					names++
				}
			}
			if names != 2 {
				t.Errorf("the directory is listed with %d of its 2 names", names)
			}
		})
	}
}

func TestADirectoryThatBecameAFileIsFound(t *testing.T) {
	r := newRig(t, nil)
	r.put("d/f", "x")
	r.list(r.Root())
	d := r.mustFind("d").Node
	os.RemoveAll(filepath.Join(r.dir, "d"))
	r.put("d", "a file")
	if dir, err := r.OpenDir(ctxOf(t), d); err == nil {
		_, err = dir.Next(ctxOf(t), 0)
		dir.Release()
		if err == nil {
			t.Fatal("a file was listed")
		}
	}
	if got := r.readAll(r.mustFind("d").Node); got != "a file" {
		t.Errorf("it is read as %q", got)
	}
}

// As git makes its objects and mail its messages: the file is written under one name, linked to another, and loses the first.
func TestAsyncKeepsTheFileOfALinkThatIsRefused(t *testing.T) {
	for name, linkedBefore := range map[string]bool{"the first link": false, "a later link": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, async)
			d, err := r.Mkdir(ctxOf(t), r.Root(), "objects", 0o755)
			if err != nil {
				t.Fatal(err)
			}
			if linkedBefore {
				f := r.create(d.Node, "first", "x")
				if _, err := r.Link(ctxOf(t), f.Node, d.Node, "other"); err != nil {
					t.Fatal(err)
				}
			}
			r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
				if p.Name == "hardlink@openssh.com" {
					return sftptest.Answer(session.StatusFailure, "Failure")
				}
				return sftptest.Pass()
			})
			f := r.create(d.Node, "tmp", "the only copy")
			if _, err := r.Link(ctxOf(t), f.Node, d.Node, "final"); err != nil {
				if linkedBefore {
					t.Fatal(err)
				}
				return // the program knows
			}
			if err := r.Unlink(ctxOf(t), d.Node, "tmp"); err != nil {
				t.Fatal(err)
			}
			if err := r.Sync(ctxOf(t)); err == nil {
				t.Error("nobody is told of the link")
			}
			if got := r.remote("objects/tmp"); got != "the only copy" {
				t.Errorf("the server has %q", got)
			}
			if got := r.readAll(r.mustFind("objects/tmp").Node); got != "the only copy" {
				t.Errorf("it is read as %q", got)
			}
		})
	}
}
