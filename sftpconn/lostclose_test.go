package sftpconn

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"sshmount/sftpconn/sftptest"
)

// A server that keeps whole objects gives up what it was not told to close.
func TestAFileWhoseCloseWasLostWithTheLineIsLookedFor(t *testing.T) {
	for name, row := range map[string]struct {
		early bool // the line breaks before the CLOSE
		left  string
		told  bool
	}{
		"gone":                             {told: true},
		"as before":                        {left: "old", told: true},
		"there":                            {left: "content"},
		"gone before the close":            {early: true, told: true},
		"there, and lost before the close": {early: true, left: "content"},
	} {
		t.Run(name, func(t *testing.T) {
			tap, srv, c := inAnyOrder(t)
			ctx := limited(t)
			path := filepath.Join(srv.Dir(), "f")
			var told atomic.Pointer[error]
			f, _, err := c.Open(ctx, OpenRequest{Path: at(path), Pflags: wr | cre, Lost: func(err error) { told.Store(&err) }})
			if err != nil {
				t.Fatal(err)
			}
			if err := f.WriteAt(ctx, []byte("content"), 0); err != nil {
				t.Fatal(err)
			}
			cut := func() {
				os.Remove(path)
				if row.left != "" {
					if err := os.WriteFile(path, []byte(row.left), 0o644); err != nil {
						t.Error(err)
					}
				}
				srv.Cut()
			}
			var once sync.Once
			tap.OnRequest(func(p sftptest.Packet) (act sftptest.Action) {
				act = sftptest.Pass()
				if p.Name == "CLOSE" {
					once.Do(func() {
						act = sftptest.Drop()
						go cut()
					})
				}
				return act
			})
			defer tap.OnRequest(nil)
			if row.early {
				s := c.newest.Load()
				cut()
				<-s.Done()
			}
			f.Close()
			if err := c.Closed(ctx); err != nil {
				t.Fatal(err)
			}
			switch err := told.Load(); {
			case row.told && (err == nil || !errors.Is(*err, ErrLost)):
				t.Errorf("told: %v", err)
			case !row.told && err != nil:
				t.Errorf("told: %v", *err)
			}
		})
	}
}
