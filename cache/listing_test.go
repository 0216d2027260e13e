package cache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// A directory in which a program makes and removes a file a second, for weeks, takes no more room than what is in it.
func TestAListingForgetsNamesThatAreGone(t *testing.T) {
	r := newRig(t, nil)
	const stay, most = 10, 2 * 1024
	for i := range stay {
		r.put(fmt.Sprint("stays", i), "x")
	}
	d, err := r.OpenDir(ctxOf(t), r.Root())
	if err != nil {
		t.Fatal(err)
	}
	read := func(off uint64, count int) (uint64, []string) {
		var seen []string
		for e := range r.entries(d, off) {
			seen, off = append(seen, e.Name), e.Off
			if len(seen) == count {
				break
			}
		}
		return off, seen
	}
	off, first := read(0, 2+stay/2)
	comeAndGo := func(what string) (left int) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for i := range 2 * most {
			name := fmt.Sprint(what, i)
			r.enter(r.root, name, session.Attr{Mode: syscall.S_IFREG | 0o600})
			r.removed(r.root, name, nil)
		}
		if l := r.root.dir.list; r.listed != l.ents.len() || len(l.index) > l.ents.len() {
			t.Errorf("%d names are counted, %d are there, %d of them by name", r.listed, l.ents.len(), len(l.index))
		}
		return r.root.dir.list.ents.len()
	}
	comeAndGo("read")
	if _, rest := read(off, 1000); len(first)+len(rest) != 2+stay {
		t.Errorf("while names came and went %v and then %v were read", first, rest)
	}
	d.Release()
	if left := comeAndGo("unread"); left > most {
		t.Errorf("the listing of %d names has room for %d", stay, left)
	}
	r.costs("the listing", 0, func() {
		if all := names(r.list(r.Root())); len(all) != stay {
			t.Errorf("it holds %v", all)
		}
		for i := range stay {
			r.mustFind(fmt.Sprint("stays", i))
		}
	})
}

// Whoever reads such a listing reads it to its end, but what it says of a file is older than what has been learnt since.
func TestAListingThatIsNoLongerTrustedTellsNothingOfItsFiles(t *testing.T) {
	r := newRig(t, nil)
	r.put("d/f", "old")
	dir := r.mustFind("d").Node
	n := r.mustFind("d/f").Node
	r.holdReply("READDIR")
	listed := make(chan []DirEntry, 1)
	go func() { listed <- r.list(dir) }()
	r.waitHeld()
	r.put("d/f", "newer content")
	r.mu.Lock()
	r.distrust(dir)
	r.mu.Unlock()
	r.distrustNode(n)
	if a, _, err := r.Getattr(ctxOf(t), n, nil); err != nil || a.Size != 13 {
		t.Fatalf("%+v, %v", a, err)
	}
	r.tap.Release()
	if got := names(<-listed); !got["f"] {
		t.Errorf("%v was listed", got)
	}
	if a, _, err := r.Getattr(ctxOf(t), n, nil); err != nil || a.Size != 13 {
		t.Errorf("after the listing the file has %d bytes, %v", a.Size, err)
	}
}

// An editor saves by a rename over the file, and its name was never away.
func TestANameThatIsReplacedWhileItsDirectoryIsReadShowsOnce(t *testing.T) {
	for what, change := range map[string]func(*Options){"default": nil, "async": async} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t, change)
			for _, name := range []string{"a", "b", "new"} {
				r.put(name, "x")
			}
			r.list(r.Root())
			d, err := r.OpenDir(ctxOf(t), r.Root())
			if err != nil {
				t.Fatal(err)
			}
			defer d.Release()
			count := map[string]int{}
			for e := range r.entries(d, 0) {
				count[e.Name]++
				if e.Name == "a" || e.Name == "b" { // by now the reader is past both, or past the one that is replaced
					if err := r.Rename(ctxOf(t), r.Root(), "new", r.Root(), e.Name, false); err == nil {
						t.Logf("%s was replaced", e.Name)
					}
				}
			}
			if count["a"] != 1 || count["b"] != 1 {
				t.Errorf("read were %v", count)
			}
			inode := map[string]uint64{}
			for _, e := range r.list(r.Root()) {
				inode[e.Name] = e.Ino
			}
			if len(inode) != 2 {
				t.Errorf("afterwards there are %v", inode)
			}
			for name, ino := range inode {
				if f := r.mustFind(name); f.Node.ID() != ino {
					t.Errorf("%s is listed as inode %d and found as %d", name, ino, f.Node.ID())
				}
			}
		})
	}
}

// What a listing on its way says of a file that is written meanwhile is older than that, but not that the file is there.
func TestAListingNamesAFileThatWasWrittenAndForgottenMeanwhile(t *testing.T) {
	r := newRig(t, func(o *Options) { o.MaxNames = 1 })
	r.put("f", "content")
	r.put("g", "content")
	f := r.mustFind("f")
	r.holdReply("READDIR")
	listed := make(chan []DirEntry)
	go func() { listed <- r.list(r.Root()) }()
	r.waitHeld()
	h, _, err := r.Open(ctxOf(t), f.Node, syscall.O_WRONLY)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Write(ctxOf(t), []byte("more than that"), 0); err != nil {
		t.Fatal(err)
	}
	if err := h.Flush(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	h.Release()
	r.Forget(f.Node.ID(), 1)
	for r.Node(f.Node.ID()) != nil {
		r.Forget(r.mustFind("g").Node.ID(), 1) // one more than is kept
	}
	r.tap.Release()
	if got := names(<-listed); !got["f"] || !got["g"] {
		t.Errorf("listed: %v", got)
	}
	if got := r.mustFind("f").Attr.Size; got != 14 {
		t.Errorf("the file has %d bytes, not 14", got)
	}
}

// What has the name of a file by now has a place in the listing, whoever finds out that it is no file any more.
func TestAListingOnItsWayNamesWhatHasComeInThePlaceOfAFile(t *testing.T) {
	r := newRig(t, nil)
	r.put("f", "content")
	n := r.mustFind("f").Node
	var answers atomic.Int32
	r.tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Request != nil && p.Request.Name == "READDIR" && answers.Add(1) > 1 {
			return sftptest.Hold() // the end
		}
		return sftptest.Pass()
	})
	d, err := r.OpenDir(ctxOf(t), r.Root())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Release()
	r.waitHeld()
	p := filepath.Join(r.dir, "f")
	if err := errors.Join(os.Remove(p), os.Mkdir(p, 0o755)); err != nil {
		t.Fatal(err)
	}
	r.distrustNode(n)
	_, _, err = r.Getattr(ctxOf(t), n, nil)
	wantErrno(t, err, syscall.ESTALE)
	r.tap.OnReply(nil)
	r.tap.Release()
	e, err := d.Next(ctxOf(t), 2)
	if err != nil || e.Name != "f" || e.Mode == syscall.S_IFREG {
		t.Errorf("the next entry is %+v, %v", e, err)
	}
	if f := r.mustFind("f"); f.Attr.Mode&syscall.S_IFMT != syscall.S_IFDIR {
		t.Errorf("looked up again it has the mode %o", f.Attr.Mode)
	}
}

// Servers may list names and say nothing, or not everything, of what has them.
func TestWhatAListingLeavesOutIsAskedFor(t *testing.T) {
	for what, told := range map[string]func(session.Attr) []byte{
		"only names": func(session.Attr) []byte { return binary.BigEndian.AppendUint32(nil, 0) },
		"names and modes": func(a session.Attr) []byte {
			return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, session.HasMode), a.Mode)
		},
	} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t, nil)
			r.put("d/below", "x")
			r.put("f", "content")
			body := binary.BigEndian.AppendUint32(nil, 2)
			for name, mode := range map[string]uint32{"d": syscall.S_IFDIR | 0o755, "f": syscall.S_IFREG | 0o644} {
				for range 2 {
					body = append(binary.BigEndian.AppendUint32(body, uint32(len(name))), name...)
				}
				body = append(body, told(session.Attr{Mode: mode})...)
			}
			r.tap.OnReply(func(p sftptest.Packet) sftptest.Action {
				if p.Name == "NAME" && p.Request.Name == "READDIR" {
					return sftptest.ReplaceBody(body)
				}
				return sftptest.Pass()
			})
			for _, e := range r.list(r.Root()) {
				if e.Name == "d" && e.Mode != syscall.S_IFDIR && e.Mode != 0 {
					t.Errorf("the directory is listed as of type %o", e.Mode)
				}
			}
			if f := r.mustFind("d"); f.Attr.Mode&syscall.S_IFMT != syscall.S_IFDIR {
				t.Errorf("the directory has the mode %o", f.Attr.Mode)
			}
			f := r.mustFind("f")
			if f.Attr.Size != 7 || f.Attr.Mtime == 0 {
				t.Errorf("the file has %d bytes and the time %d", f.Attr.Size, f.Attr.Mtime)
			}
			// What is known of a node is not forgotten for a listing that knows less.
			r.mu.Lock()
			r.distrust(r.root)
			r.mu.Unlock()
			r.list(r.Root())
			if again := r.mustFind("f"); again.Node != f.Node || again.Attr.Size != 7 {
				t.Errorf("listed again it has %d bytes", again.Attr.Size)
			}
		})
	}
}

// A server that goes on for ever is listened to as long as a program wants to hear it, and no longer.
func TestAnEndlessListingEndsWithItsReader(t *testing.T) {
	r := newRig(t, nil)
	r.put("d/f", "x")
	endless(r, 5000, 1)
	n := r.mustFind("d").Node
	d, err := r.OpenDir(ctxOf(t), n)
	if err != nil {
		t.Fatal(err)
	}
	defer r.tap.OnReply(nil)
	if e, err := d.Next(ctxOf(t), uint64(maxListed)+100); err != nil || e.Name == "" {
		t.Errorf("what a reader waits for does not come: %v", err)
	}
	l := d.list
	d.Release()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		r.mu.Lock()
		done, listed := l.done, r.listed
		r.mu.Unlock()
		if done && listed < maxListed {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d names are held and more come, with nobody to read them", listed)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.unlisted(n) {
		t.Error("it would be listed again for nobody")
	}
}
