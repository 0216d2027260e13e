package sshdial

import (
	"errors"
	"net"
	"os"
	"testing"

	"golang.org/x/crypto/ssh/agent"

	"sshmount/sftpconn/transport"
)

// agentClient speaks to the agent at socket.
func agentClient(t *testing.T, socket string) agent.ExtendedAgent {
	t.Helper()
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return agent.NewClient(c)
}

// An agent is locked while its user is away. The server hears nothing then that it could count against the user, so the login need not be
// tried ever more rarely: it succeeds when the agent is unlocked.
func TestALoginWithoutAnyKeyIsNotTakenForOneThatTheServerHasRefused(t *testing.T) {
	key := keygen(t, t.TempDir(), "held", "ed25519", "")
	s := startServer(t, []string{key})
	socket := startAgent(t, key)
	a := agentClient(t, socket)
	d, err := New(ctxOf(t), s.options(t, "none", "IdentityAgent="+socket, "IdentitiesOnly=no"))
	if err != nil {
		t.Fatal(err)
	}
	dialWith(t, d)
	if err := a.Lock([]byte("away")); err != nil {
		t.Fatal(err)
	}
	_, err = d.Dial(ctxOf(t))
	refusal, ok := errors.AsType[*transport.PermanentError](err)
	if !ok || refusal.Login {
		t.Errorf("taken for a login that the server has judged: %v", err)
	}
	says(t, err.Error(), "tried nothing", "unlock or start the agent")
	if err := a.Unlock([]byte("away")); err != nil {
		t.Fatal(err)
	}
	dialWith(t, d)
}

// What the server has refused counts, whether it is a key or a password.
func TestALoginWithAKeyThatIsRefusedIsOneThatTheServerHasRefused(t *testing.T) {
	dir := t.TempDir()
	s := startServer(t, []string{keygen(t, dir, "right", "ed25519", "")})
	_, err := refused(t, s.options(t, keygen(t, dir, "wrong", "ed25519", "")))
	if refusal, ok := errors.AsType[*transport.PermanentError](err); !ok || !refusal.Login {
		t.Errorf("%v", err)
	}
}

// Where certificates last for hours, that is how most logins end that worked before.
func TestACertificateThatHasExpiredIsSaidToHave(t *testing.T) {
	dir := t.TempDir()
	ca, key := keygen(t, dir, "ca", "ed25519", ""), keygen(t, dir, "k", "ed25519", "")
	s := startServer(t, nil, "TrustedUserCAKeys "+ca+".pub")
	for validity, words := range map[string]string{"-2d:-1d": "expired at 20", "+1d:+2d": "is not valid before 20"} {
		run(t, "ssh-keygen", "-q", "-s", ca, "-I", "test", "-n", me(t), "-V", validity, key+".pub")
		msg, _ := refused(t, s.options(t, key))
		says(t, msg, key+" with certificate that "+words)
		msg, _ = refused(t, s.options(t, "none", "IdentityAgent="+startAgent(t, key), "IdentitiesOnly=no"))
		says(t, msg, "agent key", " that "+words)
	}
}

// The key that was opened at the first login is not the one that has taken its place.
func TestAnEncryptedKeyThatWasReplacedIsNotTakenForTheOneBefore(t *testing.T) {
	dir := t.TempDir()
	key, next := keygen(t, dir, "k", "ed25519", "open sesame"), keygen(t, dir, "next", "ed25519", "other words")
	s := startServer(t, []string{key, next})
	o := s.options(t, key)
	o.Prompt = &fakeUser{answers: [][2]string{{key, "open sesame"}}}
	d, err := New(ctxOf(t), o)
	if err != nil {
		t.Fatal(err)
	}
	dialWith(t, d)
	for _, suffix := range []string{"", ".pub"} {
		if err := os.Rename(next+suffix, key+suffix); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.Dial(ctxOf(t)); err == nil {
		t.Fatal("logged in")
	} else {
		says(t, err.Error(), "passphrase cannot be asked for")
	}
}
