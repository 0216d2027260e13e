package sshdial

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// TestKeyIsRevokedForTheHostsThatTheLineNames asks OpenSSH, too.
func TestKeyIsRevokedForTheHostsThatTheLineNames(t *testing.T) {
	dir := t.TempDir()
	key, ca := keygen(t, dir, "user", "ed25519", ""), keygen(t, dir, "ca", "ed25519", "")
	s := &server{dir: t.TempDir(), port: freePort(t)}
	s.hostKey = keygen(t, s.dir, "host", "ed25519", "")
	run(t, "ssh-keygen", "-q", "-h", "-s", ca, "-I", "host", "-n", "127.0.0.1", s.hostKey+".pub")
	s.start(t, []string{key}, "HostCertificate "+s.hostKey+"-cert.pub")
	host := fmt.Sprintf("[127.0.0.1]:%d", s.port)
	right, authority := publicPart(t, s.hostKey), publicPart(t, ca)
	known, signed := host+" "+right, "@cert-authority "+host+" "+authority
	hash := func(name string) string {
		f := knownAs(t, name+" "+right)
		run(t, "ssh-keygen", "-q", "-H", "-f", f)
		hashed, _, _ := strings.Cut(read(t, f), " ")
		return hashed
	}
	for name, c := range map[string]struct {
		lines   []string
		revoked bool
	}{
		"all":                          {[]string{known, "@revoked * " + right}, true},
		"this one":                     {[]string{known, "@revoked " + host + " " + right}, true},
		"this one, hashed":             {[]string{known, "@revoked " + hash(host) + " " + right}, true},
		"a pattern":                    {[]string{known, "@revoked elsewhere,[127.?.0.*]:* " + right}, true},
		"a pattern without a port":     {[]string{known, "@revoked ?127* " + right}, true},
		"another":                      {[]string{known, "@revoked elsewhere.example " + right}, false},
		"another, hashed":              {[]string{known, "@revoked " + hash("elsewhere.example") + " " + right}, false},
		"another pattern":              {[]string{known, "@revoked *.example,[127.?.0]:* " + right}, false},
		"another port":                 {[]string{known, "@revoked [127.0.0.1]:1 " + right}, false},
		"all but this one":             {[]string{known, "@revoked *,!" + host + " " + right}, false},
		"the authority everywhere":     {[]string{signed, "@revoked * " + authority}, true},
		"the authority elsewhere":      {[]string{signed, "@revoked *.example " + authority}, false},
		"the certified key":            {[]string{signed, "@revoked " + host + " " + right}, true},
		"the certified key, elsewhere": {[]string{signed, "@revoked *.example " + right}, false},
	} {
		t.Run(name, func(t *testing.T) {
			file := knownAs(t, c.lines...)
			o := s.options(t, key)
			o.SSHOptions = append([]string{"StrictHostKeyChecking=yes", "UserKnownHostsFile=" + file}, o.SSHOptions...)
			if c.revoked {
				msg, _ := refused(t, o)
				says(t, msg, "revoked", file+":2")
			} else {
				dial(t, o)
			}
			ssh := exec.Command("ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "UserKnownHostsFile="+file, "-o", "StrictHostKeyChecking=yes",
				"-o", "GlobalKnownHostsFile=none", "-o", "IdentitiesOnly=yes", "-i", key, "-p", fmt.Sprint(s.port), "127.0.0.1", "true")
			if out, err := ssh.CombinedOutput(); (err != nil) != c.revoked {
				t.Errorf("ssh does otherwise: %v: %s", err, out)
			}
		})
	}
}
