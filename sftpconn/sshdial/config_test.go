package sshdial

import (
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"sshmount/sftpconn/transport"
)

func logTo(b *strings.Builder) *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

func TestConfigurationIsTheSameWithAndWithoutSSH(t *testing.T) {
	included := config(t, "Host srv", "ServerAliveCountMax 7")
	file := config(t,
		"Include "+included,
		"Host srv other", "HostName real.%h.example", "User anna", "Port 2222", "IdentityFile ~/.ssh/one",
		"ConnectTimeout 7", "ServerAliveInterval 5", "StrictHostKeyChecking accept-new",
		"Host s*", "User someone", "IdentityFile ~/.ssh/two", "ProxyJump jump")
	d, err := New(ctxOf(t), Options{Host: "srv", ConfigFile: file, SSHOptions: []string{"ProxyJump=none", "HashKnownHosts = yes", "Port=33", "Port=44"}})
	if err != nil {
		t.Fatal(err)
	}
	want := Settings{ServerAliveInterval: 5 * time.Second, ServerAliveCountMax: 7, ConnectTimeout: 7 * time.Second, ConnectTimeoutSet: true}
	if got := d.Settings(); got != want {
		t.Errorf("by ssh: %+v", got)
	}
	if c := d.route.target; c.hostName() != "real.srv.example" || c.user() != "anna" || c.port() != "33" {
		t.Errorf("by ssh: %s@%s port %s", c.user(), c.hostName(), c.port())
	}
	src := configSource{file: file, options: []string{"ProxyJump=none", "HashKnownHosts = yes", "Port=33", "Port=44"}}
	lib, err := src.resolve(ctxOf(t), target{host: "srv"})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"hostname", "user", "port", "connecttimeout", "serveraliveinterval", "serveralivecountmax", "stricthostkeychecking", "hashknownhosts"} {
		if a, b := d.route.target.get(key), lib.get(key); a != b {
			t.Errorf("%s is %q by ssh and %q by the library", key, a, b)
		}
	}
	if a, b := d.route.target.values["identityfile"], lib.values["identityfile"]; !slices.Equal(a, b) {
		t.Errorf("identityfile is %q by ssh and %q by the library", a, b)
	}
	if lib.getUnlessNone("proxyjump") != "" {
		t.Error("ProxyJump=none means something")
	}
}

// What stands in the address, or behind -p, is nearer to the wish of this moment than an option from a file or a habit.
func TestTheAddressCountsBeforeTheOptions(t *testing.T) {
	ssh, err := exec.LookPath("ssh")
	if err != nil {
		t.Fatal(err)
	}
	src := configSource{ssh: ssh, file: "none", options: []string{"User=alice", "Port=33"}}
	for _, src.ssh = range []string{ssh, ""} {
		c, err := src.resolve(ctxOf(t), target{host: "srv", user: "bob", port: "44"})
		if err != nil {
			t.Fatal(err)
		}
		if c.user() != "bob" || c.port() != "44" {
			t.Errorf("with ssh %q: %s at port %s", src.ssh, c.user(), c.port())
		}
	}
	d, err := New(ctxOf(t), Options{Host: "srv", User: "bob", Port: "44", ConfigFile: "none", SSHOptions: src.options, SSHCommand: ssh})
	if err != nil {
		t.Fatal(err)
	}
	argv := d.externalOf(d.route)
	told, err := exec.Command(argv[0], append([]string{"-G"}, argv[1:]...)...).Output()
	if err != nil || !strings.Contains(string(told), "user bob\n") || !strings.Contains(string(told), "port 44\n") {
		t.Errorf("ssh, %v, has another user or port by %q", err, argv)
	}
}

func TestLoginWithoutSSHInstalled(t *testing.T) {
	dir := t.TempDir()
	key := keygen(t, dir, "k", "ed25519", "")
	s := startServer(t, []string{key})
	cfg := config(t, s.hostBlock(t, "srv", key))
	t.Setenv("PATH", dir)
	tr := dial(t, Options{Host: "srv", ConfigFile: cfg})
	speaksSFTP(t, tr)
	if c := tr.Info().Client; c != "native" {
		t.Error(c)
	}
	_, err := New(ctxOf(t), Options{Host: "srv", ConfigFile: filepath.Join(dir, "absent")})
	if err == nil || !isPermanent(err) {
		t.Errorf("%v", err)
	}
}

func TestAlgorithms(t *testing.T) {
	src := configSource{ssh: "/usr/bin/ssh", file: "none"}
	c, err := src.resolve(ctxOf(t), target{host: "h"})
	if err != nil {
		t.Fatal(err)
	}
	a := c.algorithms()
	if a.missing != "" || fastAES() && a.ciphers[0] != ssh.CipherAES128GCM || a.kex[0] != ssh.KeyExchangeMLKEM768X25519 {
		t.Errorf("%+v", a)
	}
	src.options = []string{"Ciphers=aes256-ctr,aes128-gcm@openssh.com", "KexAlgorithms=curve25519-sha256", "MACs=umac-64@openssh.com,hmac-sha2-256"}
	if c, err = src.resolve(ctxOf(t), target{host: "h"}); err != nil {
		t.Fatal(err)
	}
	a = c.algorithms()
	if !slices.Equal(a.ciphers, []string{"aes256-ctr", "aes128-gcm@openssh.com"}) || !slices.Equal(a.kex, []string{"curve25519-sha256"}) || !slices.Equal(a.macs, []string{"hmac-sha2-256"}) {
		t.Errorf("a wish was changed: %+v", a)
	}
	src.options = []string{"MACs=umac-64@openssh.com"}
	if c, err = src.resolve(ctxOf(t), target{host: "h"}); err != nil {
		t.Fatal(err)
	}
	says(t, c.needsSSH(), "umac-64@openssh.com")
}

func TestNeedsSSH(t *testing.T) {
	for line, want := range map[string]string{
		"Compression=yes": "Compression", "KnownHostsCommand=/bin/true": "KnownHostsCommand",
		"PKCS11Provider=/usr/lib/x.so": "PKCS11Provider", "KnownHostsCommand=none": "", "RevokedHostKeys=/x": "RevokedHostKeys", "VerifyHostKeyDNS=ask": "VerifyHostKeyDNS", "VerifyHostKeyDNS=yes": "VerifyHostKeyDNS",
		"LocalCommand=true": "", "GSSAPIAuthentication=yes": "",
	} {
		c, err := configSource{ssh: "/usr/bin/ssh", file: "none", options: []string{line}}.resolve(ctxOf(t), target{host: "h"})
		if err != nil {
			t.Error(err)
			continue
		}
		if got := c.needsSSH(); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q", line, got)
		}
	}
}

func TestLocalCommandNeedsSSHWhereItIsPermitted(t *testing.T) {
	c, err := configSource{ssh: "/usr/bin/ssh", file: "none", options: []string{"PermitLocalCommand=yes", "LocalCommand=true"}}.resolve(ctxOf(t), target{host: "h"})
	if err != nil {
		t.Fatal(err)
	}
	says(t, c.needsSSH(), "LocalCommand")
}

func TestSplitWords(t *testing.T) {
	for in, want := range map[string][]string{
		`ssh -v`:                  {"ssh", "-v"},
		`  a  b	c `:               {"a", "b", "c"},
		`"a b" 'c "d' e\ f`:       {"a b", `c "d`, "e f"},
		`'' x`:                    {"", "x"},
		`a"b c"d`:                 {"ab cd"},
		`'no \escape' "an \"esc"`: {`no \escape`, `an "esc`},
	} {
		if got := splitWords(in); !slices.Equal(got, want) {
			t.Errorf("%q gives %q", in, got)
		}
	}
}

func TestSplitFilesKeepsNamesWithSpaces(t *testing.T) {
	file := write(t, filepath.Join(t.TempDir(), "known hosts of mine"), "")
	if got := splitFiles(file + " /nonexistent/b"); !slices.Equal(got, []string{file, "/nonexistent/b"}) {
		t.Errorf("%q", got)
	}
}

func TestParseSeconds(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"": 0, "none": 0, "0": 0, "15": 15 * time.Second, "1m30s": 90 * time.Second, "2h": 2 * time.Hour,
		"1d": 24 * time.Hour, "1w": 7 * 24 * time.Hour, "10m5": 605 * time.Second, "+15": 15 * time.Second, "+1m+5": 65 * time.Second, "x": 0, "5x": 0, "99999999999999999999w": 0, "7000000000s7000000000": 0, "-5": 0,
	} {
		if got := parseSeconds(in); got != want {
			t.Errorf("%q gives %v", in, got)
		}
	}
}

// ssh refuses these, and so does who reads its configuration where it is not installed.
func TestNumbersThatAreNoneAreRefused(t *testing.T) {
	installed, err := exec.LookPath("ssh")
	if err != nil {
		t.Fatal(err)
	}
	for option, good := range map[string]bool{
		"ServerAliveInterval=-5": false, "ServerAliveInterval=5x": false, "ServerAliveInterval=m": false, "ServerAliveInterval=1m30s": true,
		"ServerAliveInterval=+15": true, "ServerAliveInterval=+1m+5": true, "ServerAliveInterval=++5": false, "ServerAliveInterval=+": false, "ServerAliveInterval=5+": false,
		"ServerAliveInterval=2147483647": true, "ServerAliveInterval=2147483648": false, "ServerAliveInterval=99999999w": false,
		"ServerAliveCountMax=-1": false, "ServerAliveCountMax=many": false, "ServerAliveCountMax=99999": true, "ServerAliveCountMax=+3": true, "ServerAliveCountMax=99999999999": false,
		"ConnectTimeout=-3": false, "ConnectTimeout=none": true, "ConnectTimeout=7": true,
	} {
		for _, program := range []string{installed, ""} {
			_, err := configSource{ssh: program, file: "none", options: []string{option}}.resolve(ctxOf(t), target{host: "srv"})
			if (err == nil) != good {
				t.Errorf("%s with ssh %q: %v", option, program, err)
			}
			var permanent *transport.PermanentError
			if err != nil && !errors.As(err, &permanent) {
				t.Errorf("%s with ssh %q: %v is not permanent", option, program, err)
			}
		}
	}
}

func TestParseTarget(t *testing.T) {
	for in, want := range map[string]target{
		"h": {"h", "", ""}, "u@h": {"h", "u", ""}, "u@h:22": {"h", "u", "22"}, "ssh://u@h:1/": {"h", "u", "1"},
		"[::1]:2": {"::1", "", "2"}, "fe80::1": {"fe80::1", "", ""}, "a@b@h": {"h", "a@b", ""},
	} {
		if got, err := parseTarget(in); err != nil || got != want {
			t.Errorf("%q gives %+v, %v", in, got, err)
		}
	}
}

func TestExpandPath(t *testing.T) {
	t.Setenv("SOME_DIR", "/some/dir")
	t.Setenv("SELF", "${SELF}")
	c := &hostConfig{alias: "al", values: map[string][]string{"hostname": {"real"}, "port": {"2"}, "user": {"u"}}}
	for in, want := range map[string]string{
		"~/x":               filepath.Join(homeDir(), "x"),
		"~root/x":           "/root/x",
		"%d/%n-%h-%p-%r":    homeDir() + "/al-real-2-u",
		"${SOME_DIR}/100%%": "/some/dir/100%",
		"/a/%q":             "/a/%q",
		"${SELF}/${open":    "${SELF}/${open",
	} {
		if got := c.expandPath(in); got != want {
			t.Errorf("%q gives %q", in, got)
		}
	}
	if _, err := os.Stat("/root"); err != nil {
		t.Log("no /root here")
	}
}

func TestRekeyLimit(t *testing.T) {
	for in, want := range map[string]uint64{"": 0, "default none": 0, "0 0": 0, "1G 1h": 1 << 30, "1073741824 3600": 1 << 30, "16k": 16 << 10, "4294967296 0": 1 << 32} {
		c := &hostConfig{values: map[string][]string{"rekeylimit": {in}}}
		if got := c.rekeyBytes(); got != want {
			t.Errorf("%q gives %d", in, got)
		}
	}
}

func TestBindAddressAndInterface(t *testing.T) {
	key := keygen(t, t.TempDir(), "k", "ed25519", "")
	s := startServer(t, []string{key})
	for _, option := range []string{"BindAddress=127.0.0.3", "BindInterface=lo"} {
		tr := dial(t, s.options(t, key, option, "AddressFamily=inet"))
		want := "127.0.0.3:"
		if option == "BindInterface=lo" {
			want = "127.0.0.1:"
		}
		if a := tr.(*sshTransport).line.LocalAddr().String(); !strings.HasPrefix(a, want) {
			t.Errorf("%s: connected from %s", option, a)
		}
	}
	// An address that is away with its network comes back with it.
	msg, err := refused(t, s.options(t, key, "BindAddress=192.0.2.7"))
	if says(t, msg, "BindAddress", "does not have now"); isPermanent(err) {
		t.Errorf("%v", err)
	}
	msg, _ = refused(t, s.options(t, key, "BindInterface=nosuch0"))
	says(t, msg, "BindInterface nosuch0")
}

// What a `Match exec` starts in the background has ssh's output open when ssh has long ended.
func TestTheConfigurationIsReadWhereSomethingHoldsItsOutputOpen(t *testing.T) {
	ssh := filepath.Join(t.TempDir(), "ssh")
	if err := os.WriteFile(ssh, []byte("#!/bin/sh\necho hostname example.org\nsleep 60 &\necho $! >$0.pid\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	values, err := sshG{ssh: ssh}.run(t.Context(), nil, "h")
	if pid, err := strconv.Atoi(strings.TrimSpace(read(t, ssh+".pid"))); err == nil {
		defer syscall.Kill(pid, syscall.SIGKILL)
	}
	if err != nil || !slices.Equal(values["hostname"], []string{"example.org"}) {
		t.Errorf("%q, %v", values["hostname"], err)
	}
}
