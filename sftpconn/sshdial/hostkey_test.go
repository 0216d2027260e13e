package sshdial

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// knownAs writes a known_hosts file of these lines.
func knownAs(t *testing.T, lines ...string) string {
	t.Helper()
	return write(t, filepath.Join(t.TempDir(), "known_hosts"), strings.Join(lines, "\n")+"\n")
}

// publicPart is type and base64 of a public key file.
func publicPart(t *testing.T, key string) string {
	t.Helper()
	f := strings.Fields(read(t, key+".pub"))
	return f[0] + " " + f[1]
}

func fingerprint(t *testing.T, key string) string {
	t.Helper()
	return strings.Fields(run(t, "ssh-keygen", "-l", "-f", key+".pub"))[1]
}

func TestHostKeys(t *testing.T) {
	dir := t.TempDir()
	key := keygen(t, dir, "user", "ed25519", "")
	other := keygen(t, dir, "otherhost", "ed25519", "")
	rsa := keygen(t, dir, "rsahost", "rsa", "", "-b", "2048")
	ca := keygen(t, dir, "ca", "ed25519", "")
	s := &server{dir: t.TempDir(), port: freePort(t)}
	s.hostKey = keygen(t, s.dir, "host", "ed25519", "")
	run(t, "ssh-keygen", "-q", "-h", "-s", ca, "-I", "host", "-n", "127.0.0.1", s.hostKey+".pub")
	s.start(t, []string{key}, "HostKey "+rsa, "HostCertificate "+s.hostKey+"-cert.pub")
	host := fmt.Sprintf("[127.0.0.1]:%d", s.port)
	right, wrong, authority := publicPart(t, s.hostKey), publicPart(t, other), publicPart(t, ca)

	with := func(file string, more ...string) Options {
		o := s.options(t, key)
		o.SSHOptions = append(append([]string{"UserKnownHostsFile=" + file}, more...), o.SSHOptions...)
		return o
	}
	hashed := func(line string) string {
		f := knownAs(t, line)
		run(t, "ssh-keygen", "-q", "-H", "-f", f)
		if read(t, f)[0] != '|' {
			t.Fatal("ssh-keygen did not hash the entry")
		}
		return f
	}
	accepted := map[string]Options{
		"plain":                      with(knownAs(t, host+" "+right)),
		"hashed":                     with(hashed(host + " " + right)),
		"second file":                with(knownAs(t, "# nothing") + " " + knownAs(t, host+" "+right)),
		"global file":                with("none", "GlobalKnownHostsFile="+knownAs(t, host+" "+right)),
		"known on port 22":           with(knownAs(t, "127.0.0.1 "+right)),
		"wildcard":                   with(knownAs(t, "[127.0.0.*]:* "+right, "127.* "+right)),
		"broken lines beside":        with(knownAs(t, "nonsense", host+" ssh-new-type AAAA", host+" "+right, "|1|broken")),
		"alias":                      with(knownAs(t, "the-alias "+right), "HostKeyAlias=the-alias"),
		"authority":                  with(knownAs(t, "@cert-authority * "+authority)),
		"authority on port 22":       with(knownAs(t, "@cert-authority 127.0.0.1 "+authority)),
		"authority on this port":     with(knownAs(t, "@cert-authority "+host+" "+authority)),
		"other authority, key known": with(knownAs(t, "@cert-authority * "+wrong, host+" "+right)),
		"only the RSA key is known":  with(knownAs(t, host+" "+publicPart(t, rsa))),
		"old and new key":            with(knownAs(t, host+" "+wrong, host+" "+right)),
	}
	for name, o := range accepted {
		t.Run(name, func(t *testing.T) {
			o.SSHOptions = append([]string{"StrictHostKeyChecking=yes"}, o.SSHOptions...)
			dial(t, o)
		})
	}

	t.Run("changed", func(t *testing.T) {
		file := knownAs(t, "# a line before", host+" "+wrong)
		for _, mode := range []string{"yes", "ask", "accept-new"} {
			o := with(file, "StrictHostKeyChecking="+mode)
			u := &fakeUser{answers: [][2]string{{"", "yes"}}}
			o.Prompt = u
			msg, err := refused(t, o)
			says(t, msg, "HAS CHANGED", fingerprint(t, s.hostKey), file+":2", fingerprint(t, other), "ssh-keygen -f '"+file+"' -R '"+host+"'")
			askedTimes(t, u, 0)
			if !isPermanent(err) {
				t.Error("not permanent")
			}
		}
		// The advice works.
		run(t, "ssh-keygen", "-f", file, "-R", host)
		dial(t, with(file, "StrictHostKeyChecking=accept-new"))
	})
	t.Run("changed but unchecked", func(t *testing.T) {
		o := with(knownAs(t, host+" "+wrong), "StrictHostKeyChecking=no")
		u := &fakeUser{}
		var log strings.Builder
		o.Prompt, o.Logger = u, logTo(&log)
		dial(t, o)
		says(t, log.String(), "WARN", "CHANGED", "no password")
		if strings.Contains(u.heard(), "CHANGED") {
			t.Errorf("the user, who is shown the log, is told twice: %q", u.heard())
		}
	})
	t.Run("revoked", func(t *testing.T) {
		for _, mode := range []string{"yes", "no"} {
			file := knownAs(t, host+" "+right, "@revoked * "+right)
			msg, _ := refused(t, with(file, "StrictHostKeyChecking="+mode))
			says(t, msg, "revoked")
		}
	})
	t.Run("revoked authority", func(t *testing.T) {
		msg, _ := refused(t, with(knownAs(t, "@cert-authority * "+authority, "@revoked * "+authority)))
		says(t, msg, "revoked")
	})
	t.Run("certificate that does not count", func(t *testing.T) {
		for what, validity := range map[string][]string{
			"expired":    {"-n", "127.0.0.1", "-V", "-2d:-1d"},
			"principals": {"-n", "other.example"},
		} {
			cs := &server{dir: t.TempDir(), port: freePort(t)}
			cs.hostKey = keygen(t, cs.dir, "host", "ed25519", "")
			run(t, "ssh-keygen", append(append([]string{"-q", "-h", "-s", ca, "-I", "host"}, validity...), cs.hostKey+".pub")...)
			cs.start(t, []string{key}, "HostCertificate "+cs.hostKey+"-cert.pub")
			for _, mode := range []string{"yes", "ask"} {
				o := cs.options(t, key)
				o.SSHOptions = append([]string{"UserKnownHostsFile=" + knownAs(t, "@cert-authority * "+authority), "StrictHostKeyChecking=" + mode}, o.SSHOptions...)
				msg, _ := refused(t, o)
				says(t, msg, "not known", "certificate does not count", what)
				u := &fakeUser{answers: [][2]string{{"authenticity", "no"}}}
				if o.Prompt = u; mode == "ask" {
					refused(t, o)
					says(t, u.heard(), "certificate does not count", what)
				}
			}
		}
	})
	t.Run("unknown, strict", func(t *testing.T) {
		msg, _ := refused(t, with(knownAs(t, ""), "StrictHostKeyChecking=yes"))
		says(t, msg, "not known", "StrictHostKeyChecking", fingerprint(t, s.hostKey))
	})
	t.Run("unknown, nobody to ask", func(t *testing.T) {
		msg, err := refused(t, with(knownAs(t, "")))
		says(t, msg, "not known", "no terminal", "connect once with ssh", "accept-new")
		if !isPermanent(err) {
			t.Error("not permanent")
		}
	})
	t.Run("unknown, asked", func(t *testing.T) {
		for _, answer := range []string{"yes", fingerprint(t, s.hostKey)} {
			file := filepath.Join(t.TempDir(), "new", "known_hosts")
			o := with(file, "HashKnownHosts=no")
			u := &fakeUser{answers: [][2]string{{"yes/no", "perhaps"}, {"", answer}}}
			o.Prompt = u
			dial(t, o)
			// OpenSSH's own words: programs that answer for a user look for them.
			want := []string{
				fmt.Sprintf("The authenticity of host '%s (%s)' can't be established.\nED25519 key fingerprint is %s.\n"+
					"Are you sure you want to continue connecting (yes/no/[fingerprint])? ", host, host, fingerprint(t, s.hostKey)),
				"Please type 'yes', 'no' or the fingerprint: ",
			}
			if asked := u.questions(); !slices.Equal(asked, want) {
				t.Errorf("asked %q, want %q", asked, want)
			}
			says(t, u.heard(), "Added the host key", file)
			if got := read(t, file); got != host+" "+right+"\n" {
				t.Errorf("the file has %q", got)
			}
			o.Prompt = nil
			dial(t, o)
		}
	})
	t.Run("unknown, declined", func(t *testing.T) {
		for _, answer := range []string{"no", "", "SHA256:somethingelse"} {
			file := knownAs(t, "")
			o := with(file)
			o.Prompt = &fakeUser{answers: [][2]string{{"", answer}}}
			msg, _ := refused(t, o)
			says(t, msg, "host key", "not")
			if got := read(t, file); got != "\n" {
				t.Errorf("the file has %q", got)
			}
		}
	})
	for _, mode := range []string{"accept-new", "no", "off"} {
		t.Run("unknown, "+mode, func(t *testing.T) {
			// The last line has no end.
			file := write(t, filepath.Join(t.TempDir(), "known_hosts"), "elsewhere "+wrong)
			o := with(file, "HashKnownHosts=yes", "StrictHostKeyChecking="+mode)
			u := &fakeUser{}
			o.Prompt = u
			dial(t, o)
			askedTimes(t, u, 0)
			lines := strings.Split(strings.TrimSpace(read(t, file)), "\n")
			if len(lines) != 2 || !strings.HasPrefix(lines[1], "|1|") || !strings.HasSuffix(lines[1], right) {
				t.Errorf("the file has %q", lines)
			}
			// ssh itself finds it there.
			run(t, "ssh-keygen", "-F", host, "-f", file)
			o.Prompt = nil
			o.SSHOptions = append([]string{"StrictHostKeyChecking=yes"}, o.SSHOptions...)
			dial(t, o)
		})
	}
	t.Run("no file to add to", func(t *testing.T) {
		dial(t, with("/dev/null", "StrictHostKeyChecking=accept-new"))
		dial(t, with("none", "StrictHostKeyChecking=accept-new"))
	})
}

func TestHostKeyIsCheckedAgainOnReconnect(t *testing.T) {
	key := keygen(t, t.TempDir(), "user", "ed25519", "")
	s := startServer(t, []string{key})
	d, err := New(ctxOf(t), s.options(t, key))
	if err != nil {
		t.Fatal(err)
	}
	dialWith(t, d)
	s.stop()
	for _, f := range []string{s.hostKey, s.hostKey + ".pub"} {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	keygen(t, s.dir, "host", "ed25519", "")
	s.start(t, []string{key})
	_, err = d.Dial(ctxOf(t))
	if err == nil {
		t.Fatal("logged in to a server with another key")
	}
	says(t, err.Error(), "HAS CHANGED")
	if !isPermanent(err) {
		t.Error("not permanent")
	}
}

func TestTypesOfKeysAreWrittenAsByOpenSSH(t *testing.T) {
	for kind, want := range map[string]string{"ed25519": "ED25519", "rsa": "RSA", "ecdsa": "ECDSA"} {
		key := readPublicKey(keygen(t, t.TempDir(), "k", kind, "") + ".pub")
		if got := keyType(key); got != want {
			t.Errorf("%s is written %q, want %q", kind, got, want)
		}
	}
	for line, want := range map[string]string{
		"sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gAAAABHNzaDo=": "ED25519-SK",
	} {
		key := readPublicKey(write(t, filepath.Join(t.TempDir(), "k.pub"), line+"\n"))
		if key == nil {
			t.Fatal("not read: " + line)
		}
		if got := keyType(key); got != want {
			t.Errorf("%s is written %q, want %q", line, got, want)
		}
	}
}

func TestPrintableTakesControlCharactersOut(t *testing.T) {
	if got := printable("a\x1b[31mred\x07\u009b2J\tb"); got != "a[31mred2J\tb" {
		t.Errorf("%q", got)
	}
}
