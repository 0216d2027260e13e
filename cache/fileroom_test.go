package cache

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// fewFiles makes the server deny each opening of one more file than most.
type fewFiles struct {
	most int

	mu     sync.Mutex // guards what follows
	open   int
	denied int
}

func (f *fewFiles) install(tap *sftptest.Tap) {
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		f.mu.Lock()
		defer f.mu.Unlock()
		switch p.Name {
		case "OPEN":
			if f.open >= f.most {
				f.denied++
				return sftptest.Answer(session.StatusPermissionDenied, "too many open files")
			}
			f.open++
		case "OPENDIR":
			f.open++ // as it is closed the same way
		case "CLOSE":
			f.open--
		}
		return sftptest.Pass()
	})
}

// notOpenSSH is a mount with -o async of a server that is not known to be OpenSSH.
func notOpenSSH(t *testing.T) *rig {
	t.Helper()
	return newRigOver(t, sftpconn.Options{}, async, sftptest.Args("-P", "fsync"))
}

func TestMoreFilesAreMadeBeforehandThanTheServerLetsBeOpen(t *testing.T) {
	r := notOpenSSH(t)
	r.list(r.Root())
	few := &fewFiles{most: 6}
	few.install(r.tap)
	defer r.tap.OnRequest(nil)
	r.tap.SetDelay(3 * time.Millisecond)
	const files = 300
	r.wantMade(files)
	if few.denied > files/2 {
		t.Errorf("the server has denied %d openings: what it takes was not learned", few.denied)
	}
}

func TestAProgramIsNotDeniedForFilesThatItHasClosed(t *testing.T) {
	r := notOpenSSH(t)
	r.put("there", "content")
	r.list(r.Root())
	few := &fewFiles{most: 6}
	few.install(r.tap)
	defer r.tap.OnRequest(nil)
	r.tap.SetDelay(3 * time.Millisecond)
	r.wantReadBehindClosed()
}

// wantMade creates files, and wants all of them on the server.
func (r *rig) wantMade(files int) {
	r.t.Helper()
	for i := range files {
		r.create(r.Root(), fmt.Sprint("f", i), fmt.Sprint("content ", i))
	}
	if err := r.Sync(ctxOf(r.t)); err != nil {
		r.t.Fatal(err)
	}
	for i := range files {
		if got, want := r.remote(fmt.Sprint("f", i)), fmt.Sprint("content ", i); got != want {
			r.t.Errorf("f%d holds %q", i, got)
		}
	}
}

// wantReadBehindClosed reads the file 'there' while others are still open on the server, which programs have closed.
func (r *rig) wantReadBehindClosed() {
	r.t.Helper()
	for i := range 20 {
		r.create(r.Root(), fmt.Sprint("f", i), "content")
	}
	if got := r.readAll(r.mustFind("there").Node); got != "content" {
		r.t.Errorf("it reads %q", got)
	}
	if err := r.Sync(ctxOf(r.t)); err != nil {
		r.t.Fatal(err)
	}
}

func TestACreationThatIsDeniedForItselfIsToldOf(t *testing.T) {
	r := notOpenSSH(t)
	r.list(r.Root())
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "OPEN" && bytes.Contains(p.Body, []byte("/secret")) {
			return sftptest.Answer(session.StatusPermissionDenied, "no")
		}
		return sftptest.Pass()
	})
	defer r.tap.OnRequest(nil)
	for i := range 10 {
		r.create(r.Root(), fmt.Sprint("before", i), "content")
	}
	r.create(r.Root(), "secret", "content")
	for i := range 10 {
		r.create(r.Root(), fmt.Sprint("behind", i), "content")
	}
	wantErrno(t, r.Sync(ctxOf(t)), syscall.EACCES)
	for i := range 10 {
		if got := r.remote(fmt.Sprint("behind", i)); got != "content" {
			t.Errorf("behind%d holds %q", i, got)
		}
	}
}

// OpenSSH denies for permissions alone: other creations go on beside one that is denied, and it is tried once.
func TestOpenSSHIsBelievedAtOnceThatACreationIsNotPermitted(t *testing.T) {
	r := newRig(t, async)
	r.list(r.Root())
	var tries atomic.Int64
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "OPEN" && bytes.Contains(p.Body, []byte("/secret")) {
			tries.Add(1)
			return sftptest.Answer(session.StatusPermissionDenied, "no")
		}
		return sftptest.Pass()
	})
	defer r.tap.OnRequest(nil)
	for i := range 10 {
		r.create(r.Root(), fmt.Sprint("before", i), "content")
	}
	r.create(r.Root(), "secret", "content")
	wantErrno(t, r.Sync(ctxOf(t)), syscall.EACCES)
	if n := tries.Load(); n != 1 {
		t.Errorf("it was tried %d times", n)
	}
}
