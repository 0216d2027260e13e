package sshdial

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// withoutFile are options of a login to s whose host key can't be written anywhere.
func withoutFile(t *testing.T, s *server, key, file string, more ...string) Options {
	t.Helper()
	o := s.options(t, key)
	o.SSHOptions = append(append([]string{"UserKnownHostsFile=" + file}, more...), o.SSHOptions...)
	return o
}

func TestAHostKeyThatCannotBeStoredIsKnownAtTheNextLogin(t *testing.T) {
	dir := t.TempDir()
	key, other := keygen(t, dir, "k", "ed25519", ""), keygen(t, dir, "other", "ed25519", "")
	nowhere := filepath.Join(write(t, filepath.Join(dir, "file"), ""), "known_hosts")
	for _, mode := range []string{"ask", "accept-new"} {
		for _, file := range []string{"none", os.DevNull, nowhere} {
			t.Run(mode+" "+filepath.Base(file), func(t *testing.T) {
				s := startServer(t, []string{key})
				o := withoutFile(t, s, key, file, "StrictHostKeyChecking="+mode)
				u := &fakeUser{answers: [][2]string{{"continue connecting", "yes"}}}
				o.Prompt = u
				d, err := New(ctxOf(t), o)
				if err != nil {
					t.Fatal(err)
				}
				dialWith(t, d)
				dialWith(t, d)

				right := s.hostKey
				s.stop()
				s.hostKey = other
				s.start(t, []string{key})
				tr, err := d.Dial(ctxOf(t))
				if err == nil {
					tr.Close()
					t.Fatal("another key was accepted")
				}
				says(t, err.Error(), "CHANGED", fingerprint(t, other), fingerprint(t, right), "mount again")
				if !isPermanent(err) {
					t.Errorf("%v", err)
				}
			})
		}
	}
}

// Without any check each key is as good as another, as the user wished.
func TestWithoutStrictHostKeyCheckingNothingIsKept(t *testing.T) {
	dir := t.TempDir()
	key, other := keygen(t, dir, "k", "ed25519", ""), keygen(t, dir, "other", "ed25519", "")
	s := startServer(t, []string{key})
	d, err := New(ctxOf(t), withoutFile(t, s, key, "none", "StrictHostKeyChecking=no"))
	if err != nil {
		t.Fatal(err)
	}
	dialWith(t, d)
	s.stop()
	s.hostKey = other
	s.start(t, []string{key})
	if tr := dialWith(t, d); !strings.Contains(tr.Info().HostKey, fingerprint(t, other)) {
		t.Errorf("%+v", tr.Info())
	}
}

// A server that has several keys is asked for the one that was accepted.
func TestTheKeyThatCannotBeStoredIsAskedForFirst(t *testing.T) {
	all := []string{"ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512-cert-v01@openssh.com", "rsa-sha2-512", "rsa-sha2-256"}
	var u unsavedKey
	if got := u.order(all); !slices.Equal(got, all) {
		t.Errorf("without a key: %v", got)
	}
	for kind, want := range map[string][]string{"ecdsa": {"ecdsa-sha2-nistp256"}, "rsa": {"rsa-sha2-512", "rsa-sha2-256"}} {
		file := keygen(t, t.TempDir(), kind, kind, "")
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(read(t, file+".pub")))
		if err != nil {
			t.Fatal(err)
		}
		u.set(key)
		if got := u.order(all); len(got) != len(all) || !slices.Equal(got[:len(want)], want) {
			t.Errorf("%s: %v", kind, got)
		}
	}
}
