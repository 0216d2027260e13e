package cache

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
)

// A server that has just started may show the place where a file system is going to be mounted, and nothing in it.
func TestAListingThatBeginsAgainAndFindsNothingDoesNotJustEnd(t *testing.T) {
	for what, row := range map[string]struct {
		left int // names that are in the directory then
		want error
	}{"nothing is left": {0, syscall.ESTALE}, "others have removed the most": {1, io.EOF}} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t, nil)
			const files = 350 // four answers of the server
			for i := range files {
				r.put(fmt.Sprintf("d/f%03d", i), "x")
			}
			dir := r.mustFind("d").Node
			var answers atomic.Int32
			r.tap.OnReply(func(p sftptest.Packet) sftptest.Action {
				if p.Request != nil && p.Request.Name == "READDIR" && answers.Add(1) > 2 {
					return sftptest.Hold()
				}
				return sftptest.Pass()
			})
			d, err := r.OpenDir(ctxOf(t), dir)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Release()
			if !r.tap.WaitHeld(1, 10*time.Second) {
				t.Fatal("the listing is not held")
			}
			if err := os.Rename(filepath.Join(r.dir, "d"), filepath.Join(r.dir, "away")); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(filepath.Join(r.dir, "d"), 0o755); err != nil {
				t.Fatal(err)
			}
			for i := range row.left {
				r.put(fmt.Sprintf("d/f%03d", i), "x")
			}
			r.srv.Cut()
			r.tap.OnReply(nil)
			r.tap.Release()
			for off := uint64(0); err == nil; {
				var e DirEntry
				e, err = d.Next(ctxOf(t), off)
				off = e.Off
			}
			if !errors.Is(err, row.want) {
				t.Errorf("it ends with %v, and not with %v", err, row.want)
			}
			if now := names(r.list(dir)); len(now) != row.left {
				t.Errorf("listed again it holds %v", now)
			}
		})
	}
}
