package tests

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestHostKeysAreChecked(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	point := mountPoint(t)
	good := keyAlias + " " + read(t, filepath.Join(scratch, "host_key.pub"))
	with := func(t *testing.T, name, knownHosts, strict string) (config, known string) {
		t.Helper()
		known = filepath.Join(s.dir, "known_hosts_"+name)
		write(t, known, knownHosts)
		config = s.clientConfig("config_"+name, s.port, "UserKnownHostsFile "+known+"\nStrictHostKeyChecking "+strict)
		return config, known
	}
	stranger := read(t, filepath.Join(scratch, "stranger_key.pub"))
	t.Run("changed", func(t *testing.T) {
		for _, strict := range []string{"yes", "accept-new", "ask"} {
			config, known := with(t, "changed-"+strict, fmt.Sprintf("# a comment\n%s %s", keyAlias, stranger), strict)
			refused(t, 20*time.Second, []string{"-F", config, s.remote(), point}, "host key", known+":2")
			wantContent(t, known, fmt.Sprintf("# a comment\n%s %s", keyAlias, stranger))
		}
	})
	t.Run("revoked", func(t *testing.T) {
		config, _ := with(t, "revoked", "@revoked * "+strings.SplitN(good, " ", 2)[1]+good, "yes")
		refused(t, 20*time.Second, []string{"-F", config, s.remote(), point}, "revoked")
	})
	t.Run("unknown", func(t *testing.T) {
		for _, strict := range []string{"yes", "ask"} {
			config, known := with(t, "unknown-"+strict, "", strict)
			refused(t, 20*time.Second, []string{"-F", config, s.remote(), point}, "host key|host's key")
			wantContent(t, known, "")
		}
	})
	t.Run("accept-new", func(t *testing.T) {
		config, known := with(t, "new", "", "accept-new")
		mountArgs(t, []string{"-F", config, s.remote(), mountPoint(t)}, nil)
		eventually(t, 10*time.Second, "the new key is in known_hosts", func() (bool, string) {
			text := read(t, known)
			return strings.Contains(text, strings.Fields(good)[2]), text
		})
	})
	t.Run("hashed", func(t *testing.T) {
		config, known := with(t, "hashed", good, "yes")
		run(t, "", "ssh-keygen", "-q", "-H", "-f", known)
		mountArgs(t, []string{"-F", config, s.remote(), mountPoint(t)}, nil)
	})
	t.Run("alias with a port", func(t *testing.T) {
		// ssh looks an alias up just as it is written.
		config := s.clientConfig("config_alias", s.port, fmt.Sprintf("HostKeyAlias [127.0.0.1]:%d", s.port))
		mountArgs(t, []string{"-F", config, s.remote(), mountPoint(t)}, nil)
	})
	t.Run("of another type too", func(t *testing.T) {
		// An entry of another algorithm beside the right one is no mismatch.
		rsa := filepath.Join(s.dir, "rsa")
		run(t, "", "ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", rsa)
		config, _ := with(t, "types", keyAlias+" "+read(t, rsa+".pub")+good, "yes")
		mountArgs(t, []string{"-F", config, s.remote(), mountPoint(t)}, nil)
	})
}
