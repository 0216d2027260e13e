package cache

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sshmount/sftpconn/sftptest"
)

// A program makes a file in its working directory, which somebody renames while the creation waits for the line.
func TestAFileIsMadeInItsDirectoryAlsoWhereThatIsRenamedMeanwhile(t *testing.T) {
	for what, replace := range map[string]bool{"the path leads nowhere": false, "another directory has the path": true} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t, nil)
			r.put("d/f", "x")
			r.put("other/f", "x")
			r.mustFind("other")
			dir := r.mustFind("d").Node
			r.holdRequests("OPEN", "LSTAT")
			made, renamed := make(chan error, 1), make(chan error, 1)
			go func() {
				_, h, err := r.Create(ctxOf(t), dir, "new", syscall.O_WRONLY, 0o644)
				if err == nil {
					h.Release()
				}
				made <- err
			}()
			r.waitHeld()
			go func() {
				err := r.Rename(ctxOf(t), r.Root(), "d", r.Root(), "e", false)
				if err == nil && replace {
					err = r.Rename(ctxOf(t), r.Root(), "other", r.Root(), "d", false)
				}
				renamed <- err
			}()
			waitFor(t, "the rename waits for the creation, or is done", func() bool {
				return len(renamed) > 0 || parkedIn("Rename", "waitAll") > 0
			})
			r.tap.OnRequest(nil)
			r.tap.Release()
			if err := <-renamed; err != nil {
				t.Errorf("rename: %v", err)
			}
			if err := <-made; err != nil {
				t.Errorf("create: %v", err)
			}
			if _, err := os.Stat(filepath.Join(r.dir, "e/new")); err != nil {
				t.Errorf("the file: %v", err)
			}
			r.mustFind("e/new")
		})
	}
}

// What the server says of a file that was there before our bytes came to it is not what it is afterwards.
func TestCreatingAFileThatIsWrittenKeepsItsSize(t *testing.T) {
	for name, flags := range map[string]uint32{"opened as it is": syscall.O_RDWR, "truncated": syscall.O_RDWR | syscall.O_TRUNC} {
		t.Run(name, func(t *testing.T) {
			looks := 2
			if flags&syscall.O_TRUNC != 0 {
				looks = 1 // whether it is the file that is open, before it is opened
			}
			r := newRig(t, nil)
			r.put("f", "short")
			n := r.mustFind("f").Node
			h := r.opened(n, syscall.O_RDWR)
			content := strings.Repeat("long", 1000)
			if _, err := h.Write(ctxOf(t), []byte(content), 0); err != nil {
				t.Fatal(err)
			}
			// The look of the creation comes before the bytes, and its answer behind theirs.
			r.tap.OnReply(func(p sftptest.Packet) sftptest.Action {
				if p.Request != nil && (p.Request.Name == "OPEN" || p.Request.Name == "LSTAT") {
					return sftptest.Hold()
				}
				return sftptest.Pass()
			})
			done := make(chan *Handle, 1)
			go func() {
				_, h, err := r.Create(ctxOf(t), r.Root(), "f", flags, 0o644)
				if err != nil {
					t.Error(err)
				}
				done <- h
			}()
			if !r.tap.WaitHeld(looks, longEnough) {
				t.Fatal("nothing was asked for")
			}
			if err := h.Flush(ctxOf(t)); err != nil {
				t.Fatal(err)
			}
			r.tap.OnReply(nil)
			r.tap.Release()
			created := <-done
			if created == nil {
				return
			}
			defer created.Release()
			want := content
			if flags&syscall.O_TRUNC != 0 {
				want = ""
			}
			if got := r.readOpen(created); got != want {
				t.Errorf("%d bytes are read of %d", len(got), len(want))
			}
			if got := r.remote("f"); got != want {
				t.Errorf("the server has %d bytes of %d", len(got), len(want))
			}
		})
	}
}

func TestAMadeDirectoryIsNotTheOneThatWasThere(t *testing.T) {
	r := newRig(t, nil)
	r.put("d/x", "1")
	d := r.mustFind("d")
	r.list(d.Node)
	if err := os.RemoveAll(filepath.Join(r.dir, "d")); err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	d.Node.expire() // its listing outlives its attributes
	r.mu.Unlock()
	made, err := r.Mkdir(ctxOf(t), r.Root(), "d", 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.list(made.Node); len(got) != 0 {
		t.Errorf("the new directory lists %v", got)
	}
}

// A name that another client has made since the listing is no reason to refuse an open with O_CREAT that was answered.
func TestCreateOverAFileThatCameMeanwhile(t *testing.T) {
	for name, change := range map[string]func(*Options){"default": nil, "async": async} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, change)
			r.list(r.Root())
			r.put("f", "theirs, a longer content")
			_, h, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_WRONLY|syscall.O_CREAT|syscall.O_TRUNC, 0o644)
			if err != nil {
				t.Fatal(err)
			}
			_, err = h.Write(ctxOf(t), []byte("ours"), 0)
			if err := errors.Join(err, h.Flush(ctxOf(t))); err != nil {
				t.Error(err)
			}
			h.Release()
			if err := r.Sync(ctxOf(t)); err != nil {
				t.Error(err)
			}
			if got := r.remote("f"); got != "ours" {
				t.Errorf("the server has %q", got)
			}
		})
	}
}

// What has its turn before may be what takes the name: then nothing is known beforehand.
func TestAsyncAFileIsMadeOverWhatARenameHasBroughtMeanwhile(t *testing.T) {
	r := newRig(t, async)
	r.put("d/new", "theirs")
	r.put("x", "")
	r.list(r.Root())
	d := r.mustFind("d").Node
	r.list(d)
	r.holdReply("posix-rename@openssh.com")
	renamed := make(chan error, 1)
	go func() { renamed <- r.Rename(ctxOf(t), d, "new", r.Root(), "f", false) }() // which waits for the server
	r.waitHeld()
	type made struct {
		f   Found
		h   *Handle
		err error
	}
	created := make(chan made, 1)
	go func() {
		f, h, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_RDWR, 0o644)
		created <- made{f, h, err}
	}()
	waitFor(t, "the creation waits for its turn", func() bool { return r.queue.count.Load() == 2 })
	r.tap.OnReply(nil)
	r.tap.Release()
	if err := <-renamed; err != nil {
		t.Fatal(err)
	}
	m := <-created
	if m.err != nil {
		t.Fatal(m.err)
	}
	if _, err := m.h.Write(ctxOf(t), []byte("OUR"), 0); err != nil {
		t.Fatal(err)
	}
	m.h.Release()
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Error(err)
	}
	if got := r.remote("f"); got != "OURirs" {
		t.Errorf("the server has %q", got)
	}
}
