package cache

import (
	"errors"
	"syscall"
	"testing"

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
	r.fetchAhead(d)
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
