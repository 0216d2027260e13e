package cache

import (
	"errors"
	"sync/atomic"
	"syscall"
	"testing"

	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// A creation that is refused has the guesses give back what they hold open, and a guess may be waiting for that very creation.
func TestARefusedCreationDoesNotWaitForGuessesThatWaitForIt(t *testing.T) {
	r := newRig(t, async)
	r.put("d/other", "x")
	d := r.mustFind("d").Node
	r.list(d)
	guessed := make(chan struct{})
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name != "OPEN" {
			return sftptest.Pass()
		}
		<-guessed
		return sftptest.Answer(session.StatusFailure, "no handles left")
	})
	f, h, err := r.Create(ctxOf(t), d, "f", syscall.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	r.fetchFile(f.Node, 10, new(int))
	r.dropListing(d)
	r.fetchAhead(d, nil)
	r.mu.Unlock()
	close(guessed)
	if err := r.Sync(ctxOf(t)); err == nil || errors.Is(err, syscall.ETIMEDOUT) {
		t.Errorf("of the creation that was refused is reported: %v", err)
	}
	h.Release()
	r.tap.OnRequest(nil)
}

// A guess that has taken the last handle may have given it back by the time at which the refusal is heard of.
func TestAnOpenIsTriedAgainWhereAGuessHasEndedMeanwhile(t *testing.T) {
	r := newRig(t, nil)
	r.put("f", "content")
	n := r.mustFind("f").Node
	refused := false
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name != "OPEN" || refused {
			return sftptest.Pass()
		}
		refused = true
		r.mu.Lock()
		r.guess.begin()
		r.guess.end(r.now())
		r.mu.Unlock()
		return sftptest.Answer(session.StatusFailure, "no handles left")
	})
	h, _, err := r.Open(ctxOf(t), n, syscall.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	h.Release()
	r.tap.OnRequest(nil)
}

// Some servers say that it is not permitted to who has as many files open as they allow.
func TestFilesKeptOpenAreNotWhyAnOpeningIsDenied(t *testing.T) {
	t.Run("open", func(t *testing.T) {
		testKeptIsNotWhyDenied(t, func(r *rig) (*Handle, error) {
			h, _, err := r.Open(ctxOf(r.t), r.mustFind("other").Node, syscall.O_RDONLY)
			return h, err
		})
	})
	t.Run("create", func(t *testing.T) {
		testKeptIsNotWhyDenied(t, func(r *rig) (*Handle, error) {
			_, h, err := r.Create(ctxOf(r.t), r.Root(), "new", syscall.O_WRONLY|syscall.O_EXCL, 0o644)
			return h, err
		})
	})
}

func testKeptIsNotWhyDenied(t *testing.T, open func(*rig) (*Handle, error)) {
	r := newRigOver(t, sftpconn.Options{}, nil, sftptest.Args("-P", "fsync"))
	r.put("f", "content")
	r.put("other", "content")
	h, _, err := r.Open(ctxOf(t), r.mustFind("f").Node, syscall.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	h.Release()
	var held atomic.Int64
	held.Store(1)
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		switch {
		case p.Name == "CLOSE":
			held.Add(-1)
		case p.Name == "OPEN" && held.Load() > 0:
			return sftptest.Answer(session.StatusPermissionDenied, "too many open files")
		}
		return sftptest.Pass()
	})
	defer r.tap.OnRequest(nil)
	if h, err = open(r); err != nil {
		t.Fatal(err)
	}
	h.Release()
}
