package sftpconn

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// Thousands of files may be open.
func TestCuttingAFileCostsNothingForTheOthersThatAreOpen(t *testing.T) {
	srv := sftptest.New(t)
	c := connect(t, srv)
	var asked atomic.Int32
	for i := range 20 {
		path := filepath.Join(srv.Dir(), fmt.Sprint("other", i))
		f, _, err := c.Open(limited(t), OpenRequest{Path: func() string {
			asked.Add(1)
			return path
		}, Pflags: wr | cre, Perm: 0o644})
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := f.WriteAt(limited(t), []byte("0123456789"), 0); err != nil {
			t.Fatal(err)
		}
	}
	asked.Store(0)
	path := filepath.Join(srv.Dir(), "f")
	f := openFile(t, c, path, wr|cre|session.OpenTrunc)
	if err := f.Setstat(limited(t), Attr{Flags: session.HasSize, Size: 4}); err != nil {
		t.Fatal(err)
	}
	if err := c.Setstat(limited(t), path, Attr{Flags: session.HasSize, Size: 2}, false); err != nil {
		t.Fatal(err)
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("the others were asked %d times for their paths", n)
	}
}
