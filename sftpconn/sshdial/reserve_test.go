package sshdial

import (
	"errors"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"sshmount/sftpconn/transport"
)

func TestReservedSessionsAreTakenByTheNextChannels(t *testing.T) {
	key := keygen(t, t.TempDir(), "k", "ed25519", "")
	s := startServer(t, []string{key}, "MaxSessions 3")
	tr := dial(t, s.options(t, key))
	a := speaksSFTP(t, tr)
	tr.(transport.Reserver).Reserve(2)
	tr.(transport.Reserver).Reserve(2) // says the same once more
	speaksSFTP(t, tr)
	speaksSFTP(t, tr)
	if _, err := tr.OpenChannel(ctxOf(t)); !errors.Is(err, transport.ErrNoMoreChannels) {
		t.Errorf("channel beyond those that the server grants: %v", err)
	}
	greetAgain(t, a)
}

func TestReservedSessionsThatNobodyTakesAreGivenBack(t *testing.T) {
	key := keygen(t, t.TempDir(), "k", "ed25519", "")
	s := startServer(t, []string{key}, "MaxSessions 2")
	tr := dial(t, s.options(t, key))
	a := speaksSFTP(t, tr)
	tr.(transport.Reserver).Reserve(5) // more than are granted: no harm
	tr.(*sshTransport).reserve.giveBack()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if ch, err := tr.OpenChannel(ctxOf(t)); err == nil {
			ch.Close()
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("the sessions were not given back: %v", err)
		}
	}
	greetAgain(t, a)
}

// A server that refused a session may have a free one a while later.
func TestAnOldRefusalIsNotBelieved(t *testing.T) {
	for _, c := range []struct {
		age  time.Duration
		told bool
	}{{0, true}, {2 * refusedFor, false}} {
		asked := reserved{time.Now().Add(-c.age), make(chan bareSession, 1)}
		asked.answer <- bareSession{err: &ssh.OpenChannelError{Reason: ssh.ResourceShortage}}
		r := reserve{sessions: []reserved{asked}}
		if s := r.take(); (s != nil) != c.told {
			t.Errorf("a refusal %v ago is told: %v", c.age, s != nil)
		}
	}
}
