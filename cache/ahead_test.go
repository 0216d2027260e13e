package cache

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn/session"
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

// As in a deployment: mv site old; mv next site. What is fetched ahead waits behind everything else, also behind the two.
func TestAFileOfAMovedDirectoryIsNotFetchedFromTheOneInItsPlace(t *testing.T) {
	r := newRig(t, nil)
	for i := range 4 {
		r.put(fmt.Sprint("site/f", i), fmt.Sprint("site ", i))
		r.put(fmt.Sprint("next/f", i), fmt.Sprint("next ", i))
	}
	r.list(r.Root())
	files := r.list(r.mustFind("site").Node)
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if strings.HasSuffix(p.Text, "/site/"+files[2].Name) {
			return sftptest.Hold()
		}
		return sftptest.Pass()
	})
	for _, e := range files[:2] {
		r.readAll(r.mustFind("site/" + e.Name).Node)
	}
	if !r.tap.WaitHeld(2, 10*time.Second) {
		t.Fatal("the third file is not fetched ahead")
	}
	for _, mv := range [][2]string{{"site", "old"}, {"next", "site"}} {
		if err := r.Rename(ctxOf(t), r.Root(), mv[0], r.Root(), mv[1], false); err != nil {
			t.Fatal(err)
		}
	}
	r.tap.OnRequest(nil)
	r.tap.Release()
	for _, dir := range []string{"old", "site"} {
		was := map[string]string{"old": "site", "site": "next"}[dir]
		for i := range 4 {
			name := fmt.Sprintf("%s/f%d", dir, i)
			if got, want := r.readAll(r.mustFind(name).Node), fmt.Sprint(was, " ", i); got != want {
				t.Errorf("%s holds %q, want %q", name, got, want)
			}
		}
	}
}

// For as long as no program opens it, it is the next in the order of the directory.
func TestAFileThatCannotBeFetchedAheadIsNotAskedForAgainAndAgain(t *testing.T) {
	for what, refused := range map[string]bool{"it may not be read": true, "it ends before its size": false} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t, nil)
			for i := range scanFew {
				r.put(fmt.Sprintf("f%d", i), "line\n")
			}
			files := r.list(r.Root())
			const at = 20
			bad := files[at].Name
			var asked atomic.Int32
			r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
				if p.Name != "OPEN" || filepath.Base(p.Text) != bad {
					return sftptest.Pass()
				}
				asked.Add(1)
				if refused {
					return sftptest.Answer(session.StatusPermissionDenied, "")
				}
				return sftptest.Pass()
			})
			var mu sync.Mutex          // guards short
			short := map[string]bool{} // handles that are of the file that ends before its size
			r.tap.OnReply(func(p sftptest.Packet) sftptest.Action {
				mu.Lock()
				defer mu.Unlock()
				switch {
				case p.Name == "HANDLE":
					short[fmt.Sprint(p.Channel, p.Body[4:])] = filepath.Base(p.Request.Text) == bad
				case p.Name == "DATA" && short[fmt.Sprint(p.Channel, []byte(p.Request.Text))]:
					return sftptest.Answer(session.StatusEOF, "")
				}
				return sftptest.Pass()
			})
			for _, f := range files[:at-1] { // then the program stops before it
				r.readAll(r.mustFind(f.Name).Node)
			}
			for range 50 { // each takes a round trip, in which it could be asked for once more
				r.statAgain(r.mustFind(files[0].Name).Node)
			}
			if n := asked.Load(); n == 0 || n > scanMaxWasted {
				t.Errorf("it was asked for %d times, want 1 to %d", n, scanMaxWasted)
			}
		})
	}
}

func TestContentFetchedAheadIsNotOlderThanWhatIsKnown(t *testing.T) {
	r := newRig(t, nil)
	for i := range 3 {
		r.put(fmt.Sprint("f", i), "old content")
	}
	files := r.list(r.Root())
	n := r.mustFind(files[2].Name).Node
	r.readAll(r.mustFind(files[0].Name).Node)
	var reads atomic.Int32
	r.tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Request != nil && p.Request.Name == "READ" && reads.Add(1) > 1 { // the first comes with the opening
			return sftptest.Hold()
		}
		return sftptest.Pass()
	})
	r.opened(r.mustFind(files[1].Name).Node, syscall.O_RDONLY)
	if !r.tap.WaitHeld(1, 10*time.Second) {
		t.Fatal("it is not fetched ahead")
	}
	r.replace(files[2].Name, "new, longer content")
	r.mu.Lock()
	n.expire() // what is known of it has had its time
	r.mu.Unlock()
	if a, _, err := r.Getattr(ctxOf(t), n, nil); err != nil || a.Size != 19 {
		t.Fatal(a.Size, err)
	}
	r.tap.OnReply(nil)
	r.tap.Release()
	if got := r.readAll(n); got != "new, longer content" {
		t.Errorf("stat had told of the new file, and an open after it reads %q", got)
	}
	if a, _, err := r.Getattr(ctxOf(t), n, nil); err != nil || a.Size != 19 {
		t.Errorf("size %d, %v", a.Size, err)
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
	now := r.opened(n, syscall.O_RDONLY)
	for range 2 {
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

// What was read in the second of its change is read once more, and then only looked at.
func TestAFileReadInTheSecondOfItsChangeIsFetchedAheadOnceMore(t *testing.T) {
	r := newRig(t, nil)
	const files = 20
	now := time.Now()
	for i := range files {
		r.put(fmt.Sprintf("f%02d", i), "content")
		r.touch(fmt.Sprintf("f%02d", i))
	}
	reads := func(clock time.Duration) int {
		t.Helper()
		r.learnClock(session.Attr{Flags: session.HasTimes, Mtime: uint32(now.Add(clock).Unix())}, time.Now())
		r.tap.Reset()
		for i := range files {
			if got := r.readAll(r.mustFind(fmt.Sprintf("f%02d", i)).Node); got != "content" {
				t.Fatalf("read %q", got)
			}
		}
		return r.tap.Count("READ")
	}
	reads(0)
	if got := reads(time.Minute); got < files {
		t.Errorf("reading them once more took %d READs, want %d", got, files)
	}
	if got := reads(2 * time.Minute); got != 0 {
		t.Errorf("reading them then took %d READs, want none", got)
	}
}
