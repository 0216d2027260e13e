package cache

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestAHandleFollowsItsFileThroughARename(t *testing.T) {
	r := newRig(t, nil)
	r.put("d/f", "content")
	h, _, err := r.Open(ctxOf(t), r.mustFind("d/f").Node, syscall.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()
	if err := r.Rename(ctxOf(t), r.Root(), "d", r.Root(), "e", false); err != nil {
		t.Fatal(err)
	}
	r.srv.Cut()
	if got := r.readOpen(h); got != "content" {
		t.Errorf("read %q after a cut and a rename of the directory", got)
	}
}

func TestAReaderOutlivesACutAfterAnotherHandleWrote(t *testing.T) {
	r := newRig(t, nil)
	r.put("f", "content")
	n := r.mustFind("f").Node
	reader, _, err := r.Open(ctxOf(t), n, syscall.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Release()
	writer, _, err := r.Open(ctxOf(t), n, syscall.O_WRONLY)
	if err != nil {
		t.Fatal(err)
	}
	r.fill(writer, "CONTENT!")
	r.finish(writer)
	waitFor(t, "the mtime is learnt", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return !n.file.written.untold
	})
	r.srv.Cut()
	n.file.data.Drop()
	if got := r.readOpen(reader); got != "CONTENT!" {
		t.Errorf("read %q", got)
	}
}

func TestAFileOpenedThroughAFollowedLinkOutlivesItsConnection(t *testing.T) {
	r := newRig(t, func(o *Options) { o.FollowSymlinks = true })
	r.put("f", "content")
	if err := os.Symlink("f", filepath.Join(r.dir, "l")); err != nil {
		t.Fatal(err)
	}
	h := r.opened(r.mustFind("l").Node, syscall.O_RDONLY)
	r.srv.Cut()
	if got, err := r.readFrom(h, 0, 100); err != nil || got != "content" {
		t.Errorf("after the connection was lost it reads %q, %v", got, err)
	}
}

// A file that is open for writing and was not written is no other's for that: neither are bytes read from what has its place after a
// reconnect, nor those that were waiting for the line written there.
func TestAFileOpenForWritingIsNotTakenForAnotherAfterAReconnect(t *testing.T) {
	const theirs = "what somebody else has put there"
	content := strings.Repeat("0123456789", 100_000)
	write := func(r *rig, h *Handle) error {
		if _, err := h.Write(ctxOf(r.t), []byte("ours"), 2); err != nil {
			return err
		}
		return h.Flush(ctxOf(r.t))
	}
	read := func(r *rig, h *Handle) error {
		_, err := r.readFrom(h, 0, len(content))
		return err
	}
	for name, tc := range map[string]struct {
		before, after func(*rig, *Handle) error
		replaced      bool
		want          string // on the server
		stale         bool
	}{
		"read":                 {nil, read, true, theirs, true},
		"written":              {nil, write, true, theirs, true},
		"written, and as ever": {nil, write, false, "01ours" + content[6:], false},
		"written before":       {write, write, true, "whoursomebody else has put there", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.put("f", content)
			old := time.Now().Add(-time.Hour)
			if err := os.Chtimes(filepath.Join(r.dir, "f"), old, old); err != nil {
				t.Fatal(err)
			}
			h := r.opened(r.mustFind("f").Node, syscall.O_RDWR)
			if tc.before != nil {
				if err := tc.before(r, h); err != nil {
					t.Fatal(err)
				}
			}
			r.srv.Cut()
			if tc.replaced {
				r.replace("f", theirs)
			}
			if err := tc.after(r, h); tc.stale {
				wantErrno(t, err, syscall.ESTALE)
			} else if err != nil {
				t.Error(err)
			}
			if got := r.remote("f"); got != tc.want {
				t.Errorf("the server has %d bytes: %.40q", len(got), got)
			}
		})
	}
}

// What is changed from here is no reason to refuse a file to who has it open.
func TestOwnChangesDoNotMakeOpenFilesStaleAtAReconnect(t *testing.T) {
	when := time.Unix(1_000_000_000, 0)
	touch := func(r *rig, n *Node) error {
		_, _, err := r.Setattr(ctxOf(r.t), n, nil, SetAttr{Atime: &when, Mtime: &when})
		return err
	}
	content := strings.Repeat("0123456789", 100_000)
	for name, tc := range map[string]struct {
		options func(*Options)
		do      func(r *rig, n *Node)
		want    string
	}{
		"times set while the line is down (async)": {async, func(r *rig, n *Node) {
			r.holdRequest("SETSTAT")
			if err := touch(r, n); err != nil {
				r.t.Fatal(err)
			}
			if !r.tap.WaitHeld(1, longEnough) {
				r.t.Fatal("nothing was asked for")
			}
			r.srv.Cut()
		}, content},
		"times set, and the answer lost": {nil, func(r *rig, n *Node) {
			r.holdReply("SETSTAT")
			go touch(r, n)
			if !r.tap.WaitHeld(1, longEnough) {
				r.t.Fatal("nothing was asked for")
			}
			r.srv.Cut()
		}, content},
		"truncated by an opening": {nil, func(r *rig, n *Node) {
			h, _, err := r.Open(ctxOf(r.t), n, syscall.O_WRONLY|syscall.O_TRUNC)
			if err != nil {
				r.t.Fatal(err)
			}
			if err := h.Flush(ctxOf(r.t)); err != nil {
				r.t.Fatal(err)
			}
			h.Release()
			r.srv.Cut()
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, tc.options)
			r.put("f", content)
			old := time.Now().Add(-time.Hour)
			if err := os.Chtimes(filepath.Join(r.dir, "f"), old, old); err != nil {
				t.Fatal(err)
			}
			n := r.mustFind("f").Node
			h := r.opened(n, syscall.O_RDONLY)
			tc.do(r, n)
			got, err := r.readFrom(h, 0, len(content))
			if err != nil || got != tc.want {
				t.Errorf("%d bytes are read of %d: %v", len(got), len(tc.want), err)
			}
		})
	}
}
