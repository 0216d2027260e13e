package cache

import (
	"fmt"
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

// What is fetched ahead comes by one of the names, and may be of the file that others have given it.
func TestAHardLinkOfWhichOneNameWasReplacedIsNotReadAheadByThatName(t *testing.T) {
	link := func(r *rig, n *Node) {
		if _, err := r.Link(ctxOf(r.t), n, r.Root(), "b"); err != nil {
			r.t.Fatal(err)
		}
	}
	goAhead := func(r *rig) {
		for _, name := range []string{"1", "2", "3", "4", "1", "2", "3", "4"} { // in some order that is followed
			r.readAll(r.mustFind(name).Node)
		}
		waitFor(r.t, "nothing more comes", func() bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.scan.underWay == 0
		})
	}
	ways := map[string]func(r *rig, n *Node){
		"linked before": func(r *rig, n *Node) {
			link(r, n)
			r.replace("a", "another file")
			goAhead(r)
		},
		"linked since": func(r *rig, n *Node) {
			goAhead(r)
			link(r, n)
			r.replace("b", "another file")
		},
	}
	for when, way := range ways {
		t.Run(when, func(t *testing.T) {
			r := newRig(t, nil)
			for _, name := range []string{"a", "1", "2", "3", "4"} {
				r.put(name, "linked")
			}
			r.list(r.Root())
			way(r, r.mustFind("a").Node)
			for _, name := range []string{"b", "a"} {
				want := r.remote(name)
				if got, err := r.read(name); err != nil || got != want {
					t.Errorf("%s reads %q, %v, want %q", name, got, err, want)
				}
			}
		})
	}
}
