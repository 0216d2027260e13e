package sshdial

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// standIn puts programs of the test's own before those of the system.
func standIn(t *testing.T, programs map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, script := range programs {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

// sshThatFails tells the configuration and can't log in, so that nobody is asked by it.
const sshThatFails = `case "$*" in *-G*) exec /usr/bin/ssh "$@" ;; esac; echo "the stand-in was run" >&2; exit 1`

// gssapiServer accepts a password, and says that it accepts GSSAPI and what else is configured.
func gssapiServer(t *testing.T) Options {
	return passwordServer(t, &ssh.ServerConfig{
		PasswordCallback: checkPassword("right"),
		GSSAPIWithMICConfig: &ssh.GSSAPIWithMICConfig{Server: struct{ ssh.GSSAPIServer }{}, AllowLogin: func(ssh.ConnMetadata, string) (*ssh.Permissions, error) {
			return nil, os.ErrPermission
		}},
		MaxAuthTries: 20,
	})
}

func TestWithATicketGSSAPIIsLeftToSSHBeforeAQuestion(t *testing.T) {
	standIn(t, map[string]string{"ssh": sshThatFails, "klist": "exit 0"})
	o := gssapiServer(t)
	o.SSHOptions = append(o.SSHOptions, "GSSAPIAuthentication=yes")
	u := &fakeUser{answers: [][2]string{{"", "right"}}}
	o.Prompt = u
	msg, _ := refused(t, o)
	says(t, msg, "the stand-in was run")
	askedTimes(t, u, 0)
}

func TestAPasswordIsAskedForWhereSSHHasNoBetterWay(t *testing.T) {
	for name, test := range map[string]struct {
		programs map[string]string
		option   string
	}{
		"no ticket":   {map[string]string{"ssh": sshThatFails, "klist": "exit 1"}, "GSSAPIAuthentication=yes"},
		"not allowed": {map[string]string{"ssh": sshThatFails, "klist": "exit 0"}, "GSSAPIAuthentication=no"},
	} {
		t.Run(name, func(t *testing.T) {
			standIn(t, test.programs)
			o := gssapiServer(t)
			o.SSHOptions = append(o.SSHOptions, test.option)
			u := &fakeUser{answers: [][2]string{{"", "right"}}}
			o.Prompt = u
			if info := dial(t, o).Info(); info.Client != "native" {
				t.Errorf("%+v", info)
			}
			askedTimes(t, u, 1)
		})
	}
}

// A kept password asks nobody, so that it goes before what ssh could do.
func TestAKeptPasswordIsNotLeftToSSH(t *testing.T) {
	standIn(t, map[string]string{"ssh": sshThatFails, "klist": "exit 0"})
	o := gssapiServer(t)
	o.SSHOptions = append(o.SSHOptions, "GSSAPIAuthentication=yes")
	o.Password = []byte("right")
	dial(t, o)
}

// securityKey writes the two files of a key on a device, as far as they are needed to see that it is one.
func securityKey(t *testing.T) (file, public string) {
	t.Helper()
	public = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gAAAABHNzaDo="
	file = write(t, filepath.Join(t.TempDir(), "id_sk"), "-----BEGIN OPENSSH PRIVATE KEY-----\nnone that can be read\n-----END OPENSSH PRIVATE KEY-----\n")
	write(t, file+".pub", public+"\n")
	return file, public
}

func TestASecurityKeyIsLeftToSSHWhereTheServerTakesIt(t *testing.T) {
	standIn(t, map[string]string{"ssh": sshThatFails})
	file, public := securityKey(t)
	for _, taken := range []bool{true, false} {
		o := passwordServer(t, &ssh.ServerConfig{
			PasswordCallback: checkPassword("right"),
			PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
				if !taken || strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))) != public {
					return nil, os.ErrPermission
				}
				return nil, nil
			},
			MaxAuthTries: 20,
		})
		o.SSHOptions = append([]string{"IdentityFile=" + file}, o.SSHOptions...)
		u := &fakeUser{answers: [][2]string{{"", "right"}}}
		o.Prompt = u
		var log strings.Builder
		o.Logger = logTo(&log)
		if !taken {
			dial(t, o)
			askedTimes(t, u, 1)
			continue
		}
		msg, _ := refused(t, o)
		says(t, msg, "the stand-in was run")
		says(t, log.String(), file+" is on a security key")
		askedTimes(t, u, 0)
	}
}

// With a passphrase on it, x/crypto reads only the public part of such a key; to ask for the passphrase would lead nowhere.
func TestALockedSecurityKeyIsNotAskedFor(t *testing.T) {
	k := &keyFile{path: "/k", public: readPublicKey(func() string { f, _ := securityKey(t); return f + ".pub" }())}
	if !k.onSecurityKey() {
		t.Fatal("not seen")
	}
	if _, err := k.signer.Sign(nil, nil); err == nil || !strings.Contains(err.Error(), "security key") {
		t.Errorf("%v", err)
	}
}
