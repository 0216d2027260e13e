package sshdial

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestKeysLogIn(t *testing.T) {
	dir := t.TempDir()
	keys := map[string]string{
		"ed25519": keygen(t, dir, "ed", "ed25519", ""),
		"rsa":     keygen(t, dir, "rsa", "rsa", "", "-b", "2048"),
		"ecdsa":   keygen(t, dir, "ec", "ecdsa", ""),
		"pem":     keygen(t, dir, "pem", "rsa", "", "-b", "2048", "-m", "PEM"),
	}
	s := startServer(t, []string{keys["ed25519"], keys["rsa"], keys["ecdsa"], keys["pem"]})
	for kind, key := range keys {
		t.Run(kind, func(t *testing.T) {
			tr := dial(t, s.options(t, key))
			speaksSFTP(t, tr)
			if err := tr.Probe(ctxOf(t)); err != nil {
				t.Errorf("probe: %v", err)
			}
			info := tr.Info()
			if info.Client != "native" || info.AuthMethod != "publickey" || info.User != me(t) || info.Remote != s.address() {
				t.Errorf("info is %+v", info)
			}
			t.Logf("%+v", info)
		})
	}
}

func TestEncryptedKeyIsAskedForOnceAndOnlyWhenTaken(t *testing.T) {
	dir := t.TempDir()
	stranger := keygen(t, dir, "stranger", "ed25519", "other words")
	key := keygen(t, dir, "locked", "ed25519", "open sesame")
	s := startServer(t, []string{key})
	u := &fakeUser{answers: [][2]string{{key, "wrong"}, {key, "open sesame"}}}
	o := s.options(t, stranger, "IdentityFile="+stranger, "IdentityFile="+key)
	o.Prompt = u
	d, err := New(ctxOf(t), o)
	if err != nil {
		t.Fatal(err)
	}
	speaksSFTP(t, dialWith(t, d))
	askedTimes(t, u, 2)
	if q := u.questions(); q[0] != fmt.Sprintf("Enter passphrase for key '%s': ", key) {
		t.Errorf("asked %q", q[0])
	}
	if slices.Contains(u.echoed, true) {
		t.Error("a passphrase was shown while typing")
	}
	// Again, with nobody there.
	speaksSFTP(t, dialWith(t, d))
	askedTimes(t, u, 2)
	d.Forget()
	_, err = d.Dial(ctxOf(t))
	if err == nil {
		t.Fatal("logged in with a key that was forgotten")
	}
	says(t, err.Error(), "is encrypted", "nobody to ask")
}

func TestOldEncryptedKeyNeedsItsPassphraseFirst(t *testing.T) {
	key := keygen(t, t.TempDir(), "old", "rsa", "open sesame", "-b", "2048", "-m", "PEM")
	s := startServer(t, []string{key})
	if err := os.Rename(key+".pub", key+".gone"); err != nil {
		t.Fatal(err)
	}
	o := s.options(t, key)
	u := &fakeUser{answers: [][2]string{{key, "open sesame"}}}
	o.Prompt = u
	speaksSFTP(t, dial(t, o))
	askedTimes(t, u, 1)
}

func TestKeyThatOthersMayReadIsNotUsed(t *testing.T) {
	key := keygen(t, t.TempDir(), "open", "ed25519", "")
	s := startServer(t, []string{key})
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	msg, _ := refused(t, s.options(t, key))
	says(t, msg, key, "0644", "chmod 600")
}

// startAgent runs a real ssh-agent with the given keys.
func startAgent(t *testing.T, keys ...string) (socket string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "agent") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket = filepath.Join(dir, "s")
	cmd := exec.Command("ssh-agent", "-D", "-a", socket)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	deadline := time.Now().Add(20 * time.Second)
	for {
		// Its name is there before it listens: only an answer tells that it is up.
		if c, err := net.Dial("unix", socket); err == nil {
			c.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("ssh-agent does not come up")
		}
		time.Sleep(20 * time.Millisecond)
	}
	for _, k := range keys {
		add := exec.Command("ssh-add", "-q", k)
		add.Env = append(os.Environ(), "SSH_AUTH_SOCK="+socket)
		if out, err := add.CombinedOutput(); err != nil {
			t.Fatalf("ssh-add: %v\n%s", err, out)
		}
	}
	return socket
}

func TestAgentLogsIn(t *testing.T) {
	dir := t.TempDir()
	other := keygen(t, dir, "other", "ecdsa", "")
	key := keygen(t, dir, "agent", "rsa", "", "-b", "2048")
	s := startServer(t, []string{key})
	socket := startAgent(t, other, key)
	if err := os.Remove(key); err != nil { // the agent alone has it now
		t.Fatal(err)
	}

	t.Run("any key", func(t *testing.T) {
		o := s.options(t, "none", "IdentityAgent="+socket, "IdentitiesOnly=no")
		speaksSFTP(t, dial(t, o))
	})
	t.Run("by variable", func(t *testing.T) {
		t.Setenv("TEST_AGENT", socket)
		o := s.options(t, "none", "IdentityAgent=$TEST_AGENT", "IdentitiesOnly=no")
		speaksSFTP(t, dial(t, o))
	})
	t.Run("named key only", func(t *testing.T) {
		speaksSFTP(t, dial(t, s.options(t, key, "IdentityAgent="+socket)))
	})
	t.Run("not the agent's other keys", func(t *testing.T) {
		msg, err := refused(t, s.options(t, other, "IdentityAgent="+socket))
		says(t, msg, "login as "+me(t), "tried publickey ("+other+" (agent))", "server accepts publickey")
		if strings.Contains(msg, "agent.pub") || !isPermanent(err) {
			t.Errorf("permanent: %v; %s", isPermanent(err), msg)
		}
	})
	t.Run("no agent", func(t *testing.T) {
		msg, _ := refused(t, s.options(t, "none", "IdentityAgent=/nonexistent/agent", "IdentitiesOnly=no"))
		says(t, msg, "no agent at /nonexistent/agent")
	})
}

func TestCertificatesLogIn(t *testing.T) {
	dir := t.TempDir()
	ca := keygen(t, dir, "ca", "ed25519", "")
	beside := keygen(t, dir, "beside", "ed25519", "")
	apart := keygen(t, dir, "apart", "rsa", "", "-b", "2048")
	inAgent := keygen(t, dir, "inagent", "ed25519", "")
	for _, k := range []string{beside, apart, inAgent} {
		run(t, "ssh-keygen", "-q", "-s", ca, "-I", "test", "-n", me(t), k+".pub")
	}
	cert := filepath.Join(t.TempDir(), "cert.pub")
	if err := os.Rename(apart+"-cert.pub", cert); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, nil, "TrustedUserCAKeys "+ca+".pub")
	t.Run("beside the key", func(t *testing.T) { speaksSFTP(t, dial(t, s.options(t, beside))) })
	t.Run("CertificateFile", func(t *testing.T) {
		speaksSFTP(t, dial(t, s.options(t, apart, "CertificateFile="+cert)))
	})
	t.Run("agent", func(t *testing.T) {
		socket := startAgent(t, inAgent) // adds the certificate too
		o := s.options(t, "none", "IdentityAgent="+socket, "IdentitiesOnly=no")
		speaksSFTP(t, dial(t, o))
	})
}

func TestRefusedKeyIsNamed(t *testing.T) {
	dir := t.TempDir()
	key := keygen(t, dir, "mine", "ed25519", "")
	s := startServer(t, nil)
	msg, err := refused(t, s.options(t, key))
	says(t, msg, "login as "+me(t)+" on 127.0.0.1 port "+strconv.Itoa(s.port), "publickey ("+key+")", "accepts publickey", "authorized_keys")
	if !isPermanent(err) {
		t.Error("not permanent")
	}
	msg, _ = refused(t, s.options(t, filepath.Join(dir, "absent")))
	says(t, msg, filepath.Join(dir, "absent"), "no such file")
}

func TestTooManyKeys(t *testing.T) {
	dir := t.TempDir()
	var more []string
	for i := range 4 {
		more = append(more, "IdentityFile="+keygen(t, dir, fmt.Sprint("k", i), "ed25519", ""))
	}
	s := startServer(t, nil, "MaxAuthTries 2")
	msg, err := refused(t, s.options(t, "none", more...))
	says(t, msg, "too many attempts", "IdentitiesOnly=yes")
	if !isPermanent(err) {
		t.Error("not permanent")
	}
}

func TestTwoKeysAreNeeded(t *testing.T) {
	dir := t.TempDir()
	a, b := keygen(t, dir, "a", "ed25519", ""), keygen(t, dir, "b", "ecdsa", "")
	s := startServer(t, []string{a, b}, "AuthenticationMethods publickey,publickey")
	speaksSFTP(t, dial(t, s.options(t, a, "IdentityFile="+a, "IdentityFile="+b)))
}

func TestTheKeyThatWorkedGoesFirstNextTime(t *testing.T) {
	dir := t.TempDir()
	a, b, c := keygen(t, dir, "a", "ed25519", ""), keygen(t, dir, "b", "ed25519", ""), keygen(t, dir, "c", "ed25519", "")
	s := startServer(t, []string{c})
	d, err := New(ctxOf(t), s.options(t, a, "IdentityFile="+a, "IdentityFile="+b, "IdentityFile="+c))
	if err != nil {
		t.Fatal(err)
	}
	offered := func() int { return strings.Count(read(t, s.log), "userauth_pubkey: publickey test") }
	dialWith(t, d)
	if n := offered(); n != 3 {
		t.Errorf("%d keys were offered at first", n)
	}
	dialWith(t, d)
	if n := offered() - 3; n != 1 {
		t.Errorf("%d keys were offered the second time", n)
	}
}

func TestRekeyingGoesUnnoticed(t *testing.T) {
	key := keygen(t, t.TempDir(), "k", "ed25519", "")
	s := startServer(t, []string{key})
	tr := dial(t, s.options(t, key, "RekeyLimit=32K"))
	ch := speaksSFTP(t, tr)
	deadline := time.Now().Add(40 * time.Second)
	for strings.Count(read(t, s.log), "SSH2_MSG_NEWKEYS received") < 3 {
		if time.Now().After(deadline) {
			t.Fatal("no new keys were agreed upon")
		}
		greetAgain(t, ch)
	}
	if err := tr.Probe(ctxOf(t)); err != nil {
		t.Error(err)
	}
}
