package sshdial

import (
	"fmt"
	"strconv"
	"testing"
)

func TestRequiredRSASize(t *testing.T) {
	dir := t.TempDir()
	key := keygen(t, dir, "user", "rsa", "", "-b", "2048")
	hostKey := keygen(t, dir, "host", "rsa", "", "-b", "2048")
	s := startServer(t, []string{key}, "HostKey "+hostKey)
	with := func(size int, more ...string) Options {
		return s.options(t, key, append(more, "RequiredRSASize="+strconv.Itoa(size))...)
	}
	dial(t, with(2048))
	msg, _ := refused(t, with(3072))
	says(t, msg, key+" is left out", "2048 bits", "RequiredRSASize is 3072")
	socket := startAgent(t, key)
	msg, _ = refused(t, with(3072, "IdentityAgent="+socket))
	says(t, msg, "(agent) is left out")
	msg, err := refused(t, with(3072, "HostKeyAlgorithms=rsa-sha2-512", "UserKnownHostsFile="+knownAs(t, fmt.Sprintf("[127.0.0.1]:%d %s", s.port, publicPart(t, hostKey)))))
	says(t, msg, "host key of 127.0.0.1", "is not accepted", "RequiredRSASize is 3072")
	if !isPermanent(err) {
		t.Error("not permanent")
	}
}

func TestCASignatureAlgorithms(t *testing.T) {
	dir := t.TempDir()
	key, ca := keygen(t, dir, "user", "ed25519", ""), keygen(t, dir, "ca", "rsa", "", "-b", "2048")
	s := &server{dir: t.TempDir(), port: freePort(t)}
	s.hostKey = keygen(t, s.dir, "host", "ed25519", "")
	run(t, "ssh-keygen", "-q", "-h", "-s", ca, "-t", "rsa-sha2-256", "-I", "host", "-n", "127.0.0.1", s.hostKey+".pub")
	s.start(t, []string{key}, "HostCertificate "+s.hostKey+"-cert.pub")
	with := func(algorithms string) Options {
		return s.options(t, key, "CASignatureAlgorithms="+algorithms, "StrictHostKeyChecking=yes", "UserKnownHostsFile="+knownAs(t, "@cert-authority * "+publicPart(t, ca)))
	}
	if info := dial(t, with("rsa-sha2-256,ssh-ed25519")).Info(); info.Client != "native" {
		t.Errorf("%+v", info)
	}
	msg, err := refused(t, with("ssh-ed25519"))
	says(t, msg, "rsa-sha2-256", "CASignatureAlgorithms")
	if !isPermanent(err) {
		t.Error("not permanent")
	}
}
