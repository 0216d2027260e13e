package cache

import (
	"strings"
	"syscall"
	"testing"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// A directory that was not made loses its name before the files that were to go into it.
func TestTheRescueNamesAFileOfADirectoryThatWasNotMade(t *testing.T) {
	r := newRig(t, async)
	written := make(chan struct{})
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name != "MKDIR" {
			return sftptest.Pass()
		}
		<-written
		return sftptest.Answer(session.StatusPermissionDenied, "no")
	})
	dir := r.Root()
	r.list(dir) // else the server is asked whether the first name is free
	for _, name := range []string{"project", "src"} {
		e, err := r.Mkdir(ctxOf(t), dir, name, 0o755)
		if err != nil {
			t.Fatal(err)
		}
		dir = e.Node
	}
	for _, name := range []string{"thesis.tex", "letter.txt"} {
		_, h, err := r.Create(ctxOf(t), dir, name, syscall.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Write(ctxOf(t), []byte("content of "+name), 0); err != nil {
			t.Fatal(err)
		}
		h.Release()
	}
	close(written)
	if r.Sync(ctxOf(t)) == nil {
		t.Error("no error")
	}
	all := strings.Join(r.Status().Rescued, "\n")
	for _, name := range []string{"thesis.tex", "letter.txt"} {
		if !strings.Contains(all, "bytes of "+r.dir+"/project/src/"+name+":") {
			t.Errorf("status does not say where the bytes of %s are:\n%s", name, all)
		}
		if got := r.rescued(name); len(got) != 1 || got[0] != "content of "+name {
			t.Errorf("rescued of %s: %q", name, got)
		}
	}
}
