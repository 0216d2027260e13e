package sshdial

import (
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/ssh"

	"sshmount/sftpconn/transport"
)

func TestARefusedLoginIsNotLeftToSSHWithoutATicket(t *testing.T) {
	standIn(t, map[string]string{"ssh": sshThatFails, "klist": "exit 1"})
	o := gssapiServer(t)
	o.SSHOptions = append(o.SSHOptions, "GSSAPIAuthentication=yes")
	o.Password = []byte("wrong")
	msg, _ := refused(t, o)
	says(t, msg, "login as anna", "refused")
	if strings.Contains(msg, "the stand-in was run") {
		t.Error(msg)
	}
}

// A server that refuses one login (its user database away, a key not there yet) takes the next.
func TestAnSSHThatFailsDoesNotTakeTheNativeClientsPlace(t *testing.T) {
	standIn(t, map[string]string{"ssh": sshThatFails, "klist": "exit 0"})
	key := keygen(t, t.TempDir(), "k", "ed25519", "")
	var good atomic.Bool
	o := passwordServer(t, &ssh.ServerConfig{
		PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) {
			if !good.Load() {
				return nil, os.ErrPermission
			}
			return nil, nil
		},
		GSSAPIWithMICConfig: &ssh.GSSAPIWithMICConfig{Server: struct{ ssh.GSSAPIServer }{}, AllowLogin: func(ssh.ConnMetadata, string) (*ssh.Permissions, error) {
			return nil, os.ErrPermission
		}},
	})
	o.SSHOptions = append([]string{"IdentityFile=" + key, "GSSAPIAuthentication=yes"}, o.SSHOptions...)
	d, err := New(ctxOf(t), o)
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.Dial(ctxOf(t))
	if err == nil {
		t.Fatal("logged in")
	}
	says(t, err.Error(), "the stand-in was run")
	good.Store(true)
	if tr := dialWith(t, d); tr.Info().Client != "native" {
		t.Errorf("%+v", tr.Info())
	}
}

// What answers with other algorithms for a while (a server being set up, somebody in between) is not the server that was logged in to.
func TestOtherAlgorithmsAfterANativeLoginAreNotLeftToSSH(t *testing.T) {
	key := keygen(t, t.TempDir(), "k", "ed25519", "")
	s := startServer(t, []string{key})
	o := s.options(t, key)
	o.ConfigFile = config(t, "ServerAliveCountMax 4")
	d, err := New(ctxOf(t), o)
	if err != nil {
		t.Fatal(err)
	}
	dialWith(t, d)
	write(t, o.ConfigFile, "ServerAliveCountMax 5\n") // the server is the same for all that
	s.stop()
	s.start(t, []string{key}, "KexAlgorithms sntrup761x25519-sha512@openssh.com")
	var tr transport.Transport
	if tr, err = d.Dial(ctxOf(t)); err == nil {
		tr.Close()
		t.Fatalf("logged in: %+v", tr.Info())
	}
	says(t, err.Error(), "key exchange", "in common")
	s.stop()
	s.start(t, []string{key})
	if tr := dialWith(t, d); tr.Info().Client != "native" {
		t.Errorf("%+v", tr.Info())
	}
}
