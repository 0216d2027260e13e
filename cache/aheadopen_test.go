package cache

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
)

// fetchedAhead opens the files of a directory in its order until the content of the next one is here.
func (r *rig) fetchedAhead(dir *Node) *Node {
	r.t.Helper()
	for _, e := range r.list(dir) {
		f, err := r.Lookup(ctxOf(r.t), dir, e.Name)
		if err != nil {
			r.t.Fatal(err)
		}
		n := f.Node
		r.mu.Lock()
		ahead := n.file != nil && n.file.ahead != nil
		r.mu.Unlock()
		if ahead {
			waitFor(r.t, "the content is here", func() bool {
				r.mu.Lock()
				defer r.mu.Unlock()
				return n.file.ahead != nil && n.file.ahead.ok
			})
			return n
		}
		r.opened(n, syscall.O_RDONLY)
	}
	r.t.Fatal("nothing is fetched ahead")
	return nil
}

// A file may change under an open handle, as with tail -f and with a database: also where the content was here before it was opened.
func TestAFileFetchedAheadMayChangeWhileItIsOpen(t *testing.T) {
	changes := map[string]struct {
		change func(r *rig, name string)
		off    int64
		want   string
	}{
		"grown":     {func(r *rig, name string) { r.append(name, "more\n") }, 5, "more\n"},
		"rewritten": {func(r *rig, name string) { r.write(name, "LINE\n") }, 0, "LINE\n"},
		"cut":       {func(r *rig, name string) { r.write(name, "li") }, 0, "li"},
		"touched":   {func(r *rig, name string) { r.touch(name) }, 0, "line\n"},
	}
	for name, c := range changes {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			for i := range 6 {
				r.put(fmt.Sprintf("f%d", i), "line\n")
			}
			n := r.fetchedAhead(r.Root())
			h := r.opened(n, syscall.O_RDONLY)
			if h.b.f.Load() != nil {
				t.Fatal("it was opened on the server at once")
			}
			if s, err := r.readFrom(h, 0, 4096); err != nil || s != "line\n" {
				t.Fatal(s, err)
			}
			c.change(r, filepath.Base(r.pathOf(n)))
			r.mu.Lock()
			n.file.data.Drop() // as the pool does when it needs the room
			r.mu.Unlock()
			for range 2 {
				if s, err := r.readFrom(h, c.off, 4096); err != nil || s != c.want {
					t.Errorf("read %q, %v, want %q", s, err, c.want)
				}
			}
		})
	}
}

func TestAFileFetchedAheadAndOpenedWhileItLosesItsNameStaysReadable(t *testing.T) {
	ways := map[string]struct {
		request string
		takes   func(r *rig, name, other string) error
	}{
		"unlink": {"REMOVE", func(r *rig, name, _ string) error {
			return r.Unlink(ctxOf(r.t), r.Root(), name)
		}},
		"rename over": {"posix-rename@openssh.com", func(r *rig, name, other string) error {
			return r.Rename(ctxOf(r.t), r.Root(), other, r.Root(), name, false)
		}},
	}
	for way, w := range ways {
		t.Run(way, func(t *testing.T) {
			r := newRig(t, nil)
			for i := range 6 {
				r.put(fmt.Sprint("f", i), fmt.Sprint("content ", i))
			}
			n := r.fetchedAhead(r.Root())
			name, other := n.name, r.list(r.Root())[0].Name
			want := r.remote(name)
			r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
				if p.Name == w.request {
					return sftptest.Hold()
				}
				return sftptest.Pass()
			})
			done := make(chan error, 1)
			go func() { done <- w.takes(r, name, other) }()
			if !r.tap.WaitHeld(1, 10*time.Second) {
				t.Fatal("the name is not taken away")
			}
			opened := make(chan *Handle)
			go func() {
				h, _, err := r.Open(ctxOf(t), n, syscall.O_RDONLY)
				if err != nil {
					wantErrno(t, err, syscall.ESTALE) // and the kernel looks for the name again
				}
				opened <- h
			}()
			r.tap.OnRequest(nil)
			r.tap.Release()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			h := <-opened
			if h == nil {
				return
			}
			defer h.Release()
			r.mu.Lock()
			n.file.data.Drop() // as the pool does when it needs the room
			r.mu.Unlock()
			if s, err := r.readFrom(h, 0, 4096); err != nil || s != want {
				t.Errorf("read %q, %v, want %q", s, err, want)
			}
		})
	}
}

// Which names are links is not to be seen where the server follows them.
func TestAFileFetchedAheadThatIsChangedByALinkToItIsReadAgain(t *testing.T) {
	r := newRig(t, func(o *Options) { o.FollowSymlinks = true })
	for i := range 6 {
		name := fmt.Sprint("f", i)
		r.put("d/"+name, "old")
		if err := os.Symlink(filepath.Join(r.dir, "d", name), filepath.Join(r.dir, "link to "+name)); err != nil {
			t.Fatal(err)
		}
	}
	n := r.fetchedAhead(r.mustFind("d").Node)
	h := r.opened(r.mustFind("link to "+n.name).Node, syscall.O_RDWR)
	if _, err := h.Write(ctxOf(t), []byte("new"), 0); err != nil {
		t.Fatal(err)
	}
	if err := h.Flush(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	if got := r.readAll(n); got != "new" {
		t.Errorf("read %q", got)
	}
}

func TestAHandleThatIsOpenedLateDoesNotMixTheNewFileIntoTheOldOne(t *testing.T) {
	r := newRig(t, nil)
	for i := range 6 {
		r.put(fmt.Sprint("f", i), "old")
	}
	n := r.fetchedAhead(r.Root())
	late := r.opened(n, syscall.O_RDONLY)
	old := r.opened(n, syscall.O_RDONLY)
	r.replace(n.name, "new")
	now := r.openedByName(n.name, syscall.O_RDONLY)
	for range 2 {
		n.file.data.Drop()
		for _, o := range []struct {
			name string
			h    *Handle
			want string
		}{{"opened late", late, "new"}, {"opened before", old, "old"}, {"opened after", now, "new"}} {
			if s, err := r.readFrom(o.h, 0, 4096); err != nil || s != o.want {
				t.Errorf("the handle %s reads %q, %v, want %q", o.name, s, err, o.want)
			}
		}
	}
}

func TestAFileFetchedAheadStaysReadableWithoutItsName(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Timeout = 200 * time.Millisecond })
	for i := range 6 {
		r.put(fmt.Sprint("f", i), "content")
	}
	var open []*Handle
	for _, e := range r.list(r.Root()) {
		h, _, err := r.Open(ctxOf(t), r.mustFind(e.Name).Node, syscall.O_RDONLY)
		if err != nil {
			t.Fatal(err)
		}
		defer h.Release()
		open = append(open, h)
		if err := r.Unlink(ctxOf(t), r.Root(), e.Name); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(300 * time.Millisecond) // what is known of them has had its time
	for _, h := range open {
		if a, _, err := r.Getattr(ctxOf(t), h.n, h); err != nil || a.Size != 7 {
			t.Errorf("fstat: size %d, %v", a.Size, err)
		}
		if got := r.readOpen(h); got != "content" {
			t.Errorf("read %q", got)
		}
	}
}
