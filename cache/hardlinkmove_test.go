package cache

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
)

// One name of a file is moved and the other removed while a change of its attributes has not had its turn: the server knows the file
// by the name that is to be moved, and by no other.
func TestAChangeOfAHardLinkFindsItByTheNameThatTheServerStillHas(t *testing.T) {
	for what, names := range map[string][2]string{"its first name is moved": {"a", "b"}, "its second name is moved": {"b", "a"}} {
		t.Run(what, func(t *testing.T) {
			moved, removed := names[0], names[1]
			r := newRig(t, async)
			r.list(r.Root())
			n := r.create(r.Root(), "a", "content").Node
			if _, err := r.Link(ctxOf(t), n, r.Root(), "b"); err != nil {
				t.Fatal(err)
			}
			if err := r.Sync(ctxOf(t)); err != nil {
				t.Fatal(err)
			}
			r.list(r.Root())
			r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
				if p.Name == "posix-rename@openssh.com" || p.Name == "SETSTAT" || p.Name == "lsetstat@openssh.com" {
					return sftptest.Hold()
				}
				return sftptest.Pass()
			})
			r.tap.Reset()
			set := func(bits uint32) {
				t.Helper()
				if _, _, err := r.Setattr(ctxOf(t), n, nil, SetAttr{Mode: &bits}); err != nil {
					t.Fatal(err)
				}
			}
			set(0o600)
			r.waitHeld()
			set(0o640)
			if err := r.Rename(ctxOf(t), r.Root(), moved, r.Root(), "c", false); err != nil {
				t.Fatal(err)
			}
			if err := r.Unlink(ctxOf(t), r.Root(), removed); err != nil {
				t.Fatal(err)
			}
			r.tap.OnRequest(nil)
			for end := time.Now().Add(10 * time.Second); moved == "a" && time.Now().Before(end); time.Sleep(time.Millisecond) {
				if _, err := os.Lstat(filepath.Join(r.dir, removed)); err != nil {
					break
				}
			}
			r.tap.Release()
			if err := r.Sync(ctxOf(t)); err != nil {
				t.Error(err)
			}
			info, err := os.Stat(filepath.Join(r.dir, "c"))
			if err != nil || info.Mode().Perm() != 0o640 {
				t.Errorf("the change did not arrive: %v, %v", info, err)
			}
		})
	}
}
