package cache

import (
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
)

// A file that is open and has bytes to be saved, and one in a directory: both are asked about while they get another path.
var crossings = []struct{ what, file, from, to, fileThen string }{
	{"of the file", "f", "f", "g", "g"},
	{"of its directory", "d/f", "d", "e", "e/f"},
}

func TestAStatBesideARenameFindsTheFileByItsNewName(t *testing.T) {
	for _, tc := range crossings {
		t.Run(tc.what, func(t *testing.T) {
			r := newRig(t, nil)
			r.put(tc.file, "content")
			n := r.mustFind(tc.file).Node
			r.distrustNode(n)
			r.holdReply("posix-rename@openssh.com")
			renamed, seen := make(chan error, 1), make(chan error, 1)
			go func() { renamed <- r.Rename(ctxOf(t), r.Root(), tc.from, r.Root(), tc.to, false) }()
			r.waitHeld() // the server has done it, and nobody here knows
			go func() {
				_, _, err := r.Getattr(ctxOf(t), n, nil)
				seen <- err
			}()
			// Whoever does not wait for the rename has the wrong answer by then.
			select {
			case err := <-seen:
				seen <- err
			case <-time.After(100 * time.Millisecond):
			}
			r.tap.Release()
			if err := <-renamed; err != nil {
				t.Fatal(err)
			}
			if err := <-seen; err != nil {
				t.Errorf("stat: %v", err)
			}
			f, err := r.find(tc.fileThen)
			if err != nil || f.Node != n {
				t.Errorf("under the new name: %+v, %v; the file was inode %d", f, err, n.ID())
			}
		})
	}
}

func TestAStatThatARenameOvertakesFindsTheFile(t *testing.T) {
	for _, tc := range crossings {
		t.Run(tc.what, func(t *testing.T) {
			r := newRig(t, nil)
			r.put(tc.file, "content")
			n := r.mustFind(tc.file).Node
			r.distrustNode(n)
			r.holdRequest("LSTAT")
			seen := make(chan error, 1)
			go func() {
				_, _, err := r.Getattr(ctxOf(t), n, nil)
				seen <- err
			}()
			r.waitHeld()
			if err := r.Rename(ctxOf(t), r.Root(), tc.from, r.Root(), tc.to, false); err != nil {
				t.Fatal(err)
			}
			r.tap.Release()
			if err := <-seen; err != nil {
				t.Errorf("stat: %v", err)
			}
			if f, err := r.find(tc.fileThen); err != nil || f.Node != n {
				t.Errorf("under the new name: %+v, %v; the file was inode %d", f, err, n.ID())
			}
		})
	}
}

func TestALookUpThatARenameOfTheDirectoryOvertakesFindsTheName(t *testing.T) {
	r := newRig(t, nil)
	r.put("d/f", "content")
	d := r.mustFind("d").Node
	r.holdRequest("LSTAT")
	seen := make(chan error, 1)
	go func() {
		_, err := r.Lookup(ctxOf(t), d, "f")
		seen <- err
	}()
	r.waitHeld()
	if err := r.Rename(ctxOf(t), r.Root(), "d", r.Root(), "e", false); err != nil {
		t.Fatal(err)
	}
	r.tap.Release()
	if err := <-seen; err != nil {
		t.Errorf("look-up: %v", err)
	}
	r.mustFind("e/f")
}

// Without absent names nothing tells that a name was taken away while the question was answered.
func TestALookupThatCrossesWithARemovalFindsNothing(t *testing.T) {
	r := newRig(t, func(o *Options) { o.NoAbsence = true })
	r.put("f", "x")
	r.tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Request != nil && p.Request.Name == "LSTAT" {
			return sftptest.Hold()
		}
		return sftptest.Pass()
	})
	found := make(chan error, 1)
	go func() {
		_, err := r.Lookup(ctxOf(t), r.Root(), "f")
		found <- err
	}()
	if !r.tap.WaitHeld(1, 10*time.Second) {
		t.Fatal("nothing was asked")
	}
	if err := r.Unlink(ctxOf(t), r.Root(), "f"); err != nil {
		t.Fatal(err)
	}
	r.tap.OnReply(nil)
	r.tap.Release()
	wantErrno(t, <-found, syscall.ENOENT)
}
