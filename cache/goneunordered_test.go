package cache

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"sshmount/sftpconn"
	"sshmount/sftpconn/sftptest"
)

// As a log that is taken away over there while a program writes it. Only what such a server has not shown since it was opened may be there
// all the same.
func TestAFileThatIsWrittenAndWasRemovedByOthersIsGone(t *testing.T) {
	r := newRigOver(t, sftpconn.Options{}, nil, sftptest.Args("-P", "fsync"))
	r.put("log", "content")
	n := r.mustFind("log").Node
	h := r.opened(n, syscall.O_WRONLY)
	defer h.Release()
	if _, err := h.Write(ctxOf(t), []byte("CONTENT"), 0); err != nil {
		t.Fatal(err)
	}
	if err := h.Fsync(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	r.distrustNode(n)
	r.mustFind("log")
	if err := os.Remove(filepath.Join(r.dir, "log")); err != nil {
		t.Fatal(err)
	}
	r.distrustNode(n)
	_, err := r.find("log")
	wantErrno(t, err, syscall.ENOENT)
}
