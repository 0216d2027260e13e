package cache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sshmount/sftpconn/sftptest"
)

// The kernel looks a name up again that it is told is no link any more: what it then is told must not be what was known before.
func TestALinkThatBecameSomethingElseIsLookedUpAgain(t *testing.T) {
	for what, tc := range map[string]struct {
		replace func(p string) error
		kind    uint32
	}{
		"a file":      {func(p string) error { return os.WriteFile(p, []byte("content"), 0o644) }, syscall.S_IFREG},
		"a directory": {func(p string) error { return os.Mkdir(p, 0o755) }, syscall.S_IFDIR},
	} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t, nil)
			p := filepath.Join(r.dir, "current")
			if err := os.Symlink("target", p); err != nil {
				t.Fatal(err)
			}
			r.list(r.Root())
			n := r.mustFind("current").Node
			if err := os.Remove(p); err != nil {
				t.Fatal(err)
			}
			if err := tc.replace(p); err != nil {
				t.Fatal(err)
			}
			_, err := r.Readlink(ctxOf(t), n)
			wantErrno(t, err, syscall.EINVAL)
			f := r.mustFind("current")
			if got := f.Attr.Mode & syscall.S_IFMT; got != tc.kind || f.Node == n {
				t.Errorf("looked up again it is of type %o, and the same as before: %v", got, f.Node == n)
			}
		})
	}
}

func TestALinkThatARenameOvertakesIsReadByItsNewName(t *testing.T) {
	for what, replace := range map[string]bool{"the path leads nowhere": false, "another link has the path": true} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t, nil)
			r.put("d/f", "x")
			r.put("other/f", "x")
			for dir, target := range map[string]string{"d": "ours", "other": "theirs"} {
				if err := os.Symlink(target, filepath.Join(r.dir, dir, "l")); err != nil {
					t.Fatal(err)
				}
			}
			r.mustFind("other")
			n := r.mustFind("d/l").Node
			r.holdRequest("READLINK")
			read, failed := make(chan string, 1), make(chan error, 1)
			go func() {
				target, err := r.Readlink(ctxOf(t), n)
				read <- target
				failed <- err
			}()
			r.waitHeld()
			if err := r.Rename(ctxOf(t), r.Root(), "d", r.Root(), "e", false); err != nil {
				t.Fatal(err)
			}
			if replace {
				if err := r.Rename(ctxOf(t), r.Root(), "other", r.Root(), "d", false); err != nil {
					t.Fatal(err)
				}
			}
			r.tap.Release()
			if target, err := <-read, <-failed; target != "ours" || err != nil {
				t.Errorf("it leads to %q, %v", target, err)
			}
		})
	}
}

func TestLinksAreReadManyInAFlightHoweverManyThereAre(t *testing.T) {
	r := newRig(t, nil)
	const links = maxLinksAhead + 20
	for i := range links {
		if err := os.Symlink("target", filepath.Join(r.dir, fmt.Sprint("l", i))); err != nil {
			t.Fatal(err)
		}
	}
	var nodes []*Node
	for _, e := range r.list(r.Root()) {
		nodes = append(nodes, r.mustFind(e.Name).Node)
	}
	r.costsAt(time.Second, "reading the links", 2, func() { // a thousand requests take their time to be sent
		for _, n := range nodes {
			if target, err := r.Readlink(ctxOf(t), n); err != nil || target != "target" {
				t.Fatalf("%q, %v", target, err)
			}
		}
	})
}

// The kernel takes a target's end for where its first NUL is: behind a check of the whole of it, "..\x00" would lead out of the mount.
func TestALinkWithANulInItsTargetIsRefused(t *testing.T) {
	r := newRig(t, nil)
	if err := os.Symlink("anything", filepath.Join(r.dir, "l")); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"..\x00", "a\x00b", "\x00"} {
		r.tap.OnReply(func(p sftptest.Packet) sftptest.Action {
			if p.Request == nil || p.Request.Name != "READLINK" {
				return sftptest.Pass()
			}
			body := append(binary.BigEndian.AppendUint32(nil, p.ID), 0, 0, 0, 1)
			body = append(binary.BigEndian.AppendUint32(body, uint32(len(target))), target...)
			body = binary.BigEndian.AppendUint64(body, 0) // no long name, no attributes
			return sftptest.ReplaceRaw(append(append(binary.BigEndian.AppendUint32(nil, uint32(1+len(body))), 104), body...))
		})
		for range 2 {
			if got, err := r.Readlink(ctxOf(t), r.mustFind("l").Node); !errors.Is(err, syscall.EIO) {
				t.Errorf("a link to %q leads to %q, %v", target, got, err)
			}
		}
	}
	r.tap.OnReply(nil)
}

// As `ln -sfn` does it: a target as long as the one before, put there in the second in which that was read.
func TestALinkThatIsReplacedInTheSecondOfItsReadingIsReadAgain(t *testing.T) {
	r := newRig(t, nil)
	p := filepath.Join(r.dir, "current")
	second := []unix.Timeval{{Sec: time.Now().Unix() + 5}, {Sec: time.Now().Unix() + 5}} // that of the reading or later, also on a busy machine
	if err := errors.Join(os.Symlink("one", p), unix.Lutimes(p, second)); err != nil {
		t.Fatal(err)
	}
	r.list(r.Root())
	n := r.mustFind("current").Node
	target := func() string {
		t.Helper()
		got, err := r.Readlink(ctxOf(t), n)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := target(); got != "one" {
		t.Fatalf("it leads to %q", got)
	}
	if err := errors.Join(os.Remove(p), os.Symlink("two", p), unix.Lutimes(p, second)); err != nil {
		t.Fatal(err)
	}
	r.pass(time.Minute)
	r.list(r.Root())
	if got := target(); got != "two" {
		t.Errorf("it leads to %q still", got)
	}
}
