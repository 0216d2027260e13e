package cache

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
)

// OpenSSH looks each name up below the path by which the directory was opened: where that leads nowhere any more, the listing is
// empty, and where it leads to another directory, the attributes are of the files there.
func TestAListingThatCrossesARenameOfItsDirectoryIsTheDirectorys(t *testing.T) {
	for name, replace := range map[string]bool{"the path leads nowhere": false, "another directory has the path": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			for i := range 3 {
				r.put(fmt.Sprint("above/dir/f", i), "five5")
				r.put(fmt.Sprint("other/dir/f", i), "longer content")
			}
			r.mustFind("above")
			r.mustFind("other")
			dir := r.mustFind("above/dir").Node
			r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
				if p.Name == "READDIR" {
					return sftptest.Hold()
				}
				return sftptest.Pass()
			})
			listed := make(chan []DirEntry)
			go func() { listed <- r.list(dir) }()
			if !r.tap.WaitHeld(1, 10*time.Second) {
				t.Fatal("it is not listed")
			}
			if err := r.Rename(ctxOf(t), r.Root(), "above", r.Root(), "moved", false); err != nil {
				t.Fatal(err)
			}
			if replace {
				if err := r.Rename(ctxOf(t), r.Root(), "other", r.Root(), "above", false); err != nil {
					t.Fatal(err)
				}
			}
			r.tap.OnRequest(nil)
			r.tap.Release()
			if all := <-listed; len(all) != 3 {
				t.Errorf("%d of 3 names were listed", len(all))
			}
			for i := range 3 {
				if got := r.mustFind(fmt.Sprint("moved/dir/f", i)).Attr.Size; got != 5 {
					t.Errorf("f%d has %d bytes, not 5\n%s", i, got, strings.Join(r.tap.Log(), "\n"))
				}
			}
		})
	}
}
