package sftpconn

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"sshmount/sftpconn/sftptest"
)

// Two paths may lead to one name: over a link to a directory, or where a server takes upper and lower case for the same.
func TestAFileThatIsRenamedToItselfWhenTheLineBreaksIsNotRemoved(t *testing.T) {
	tap := sftptest.NewTap()
	srv := sftptest.New(t, sftptest.WithTap(tap))
	c := connect(t, srv)
	if err := os.Symlink(".", filepath.Join(srv.Dir(), "here")); err != nil {
		t.Fatal(err)
	}
	from := file(t, srv, "f", []byte("content"))
	var once sync.Once
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		act := sftptest.Pass()
		if p.Name == "RENAME" {
			once.Do(func() {
				act = sftptest.Drop()
				go srv.Cut()
			})
		}
		return act
	})
	if err := c.Rename(limited(t), from, filepath.Join(srv.Dir(), "here", "f"), true); !refused(err) {
		t.Errorf("renamed: %v", err)
	}
	sameAs(t, from, []byte("content"))
}
