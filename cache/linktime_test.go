package cache

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
)

// The server has made it in the second after that in which the program was answered.
func TestAsyncALinkHasTheTimeThatTheServerGaveIt(t *testing.T) {
	r := newRig(t, async)
	r.list(r.Root())
	let := make(chan struct{})
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "SYMLINK" {
			<-let
		}
		return sftptest.Pass()
	})
	now := time.Now()
	time.Sleep(now.Truncate(time.Second).Add(1900 * time.Millisecond).Sub(now))
	if _, err := r.Symlink(ctxOf(t), r.Root(), "link", "target"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	close(let)
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	is, err := os.Lstat(filepath.Join(r.dir, "link"))
	if err != nil {
		t.Fatal(err)
	}
	if f := r.mustFind("link"); f.Attr.Mtime != is.ModTime().Unix() {
		t.Errorf("it is shown with %d, and has %d", f.Attr.Mtime, is.ModTime().Unix())
	}
}
