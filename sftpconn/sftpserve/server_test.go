package sftpserve

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start starts a server over a fresh directory, and writes the files of a client.
func start(t *testing.T, o Options) (*Server, *Client) {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	c, err := NewClient(filepath.Join(t.TempDir(), "client"))
	if err != nil {
		t.Fatal(err)
	}
	o.Users = append(o.Users, c.Key)
	s, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := c.Trust(s.Addr(), s.HostKey()); err != nil {
		t.Fatal(err)
	}
	return s, c
}

// client runs OpenSSH's own client with commands.
func client(t *testing.T, c *Client, commands ...string) (string, error) {
	t.Helper()
	program, err := exec.LookPath("sftp")
	if err != nil {
		t.Skip("OpenSSH's client sftp is not installed, and it is the witness here")
	}
	cmd := exec.Command(program, "-F", c.Config, "-o", "ConnectTimeout=20", "-b", "-", "try")
	cmd.Stdin = strings.NewReader(strings.Join(commands, "\n") + "\n")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestOpenSSHsClientWorksInTheDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "there"), []byte("from the server"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, c := start(t, Options{Dir: dir})
	local := t.TempDir()
	put, got := filepath.Join(local, "put"), filepath.Join(local, "got")
	if err := os.WriteFile(put, []byte("from the client"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := client(t, c, "pwd", "get there "+got, "put "+put+" here", "mkdir d", "rename here d/moved", "ls -l d")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(out, "Remote working directory: "+dir) {
		t.Errorf("the session does not begin in %s:\n%s", dir, out)
	}
	for file, want := range map[string]string{got: "from the server", filepath.Join(dir, "d/moved"): "from the client"} {
		if b, err := os.ReadFile(file); err != nil || string(b) != want {
			t.Errorf("%s holds %q, %v; want %q", file, b, err, want)
		}
	}
}

func TestReadOnlyServerRefusesChanges(t *testing.T) {
	dir := t.TempDir()
	_, c := start(t, Options{Dir: dir, ReadOnly: true})
	if out, err := client(t, c, "mkdir d"); err == nil {
		t.Errorf("mkdir succeeded:\n%s", out)
	}
	if out, err := client(t, c, "ls"); err != nil {
		t.Errorf("ls: %v\n%s", err, out)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("the directory has %v", left)
	}
}

// dial logs in with a key.
func dial(s *Server, key ssh.Signer) (*ssh.Client, error) {
	return ssh.Dial("tcp", s.Addr().String(), &ssh.ClientConfig{
		User: "anybody", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)},
		HostKeyCallback: ssh.FixedHostKey(s.HostKey()), Timeout: 20 * time.Second,
	})
}

func TestOnlyTheRightKeyAndOnlySFTP(t *testing.T) {
	s, c := start(t, Options{})
	stranger, _, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	if conn, err := dial(s, stranger); err == nil {
		conn.Close()
		t.Error("a stranger's key is let in")
	}
	key, err := LoadKey(c.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := dial(s, key)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	session, err := conn.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Run("true"); err == nil {
		t.Error("a command was run")
	}
	session.Close()
	if _, err := conn.Dial("tcp", s.Addr().String()); err == nil {
		t.Error("a port was forwarded")
	}
	// A keepalive wants an answer, whatever it is.
	if _, _, err := conn.SendRequest("keepalive@openssh.com", true, nil); err != nil {
		t.Errorf("keepalive: %v", err)
	}
}

func TestMoreSessionsThanAllowedAreRefusedAndTheOthersStay(t *testing.T) {
	s, c := start(t, Options{})
	key, err := LoadKey(c.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := dial(s, key)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for range maxSessions {
		session, err := conn.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if err := session.RequestSubsystem("sftp"); err != nil {
			t.Fatal(err)
		}
		defer session.Close()
	}
	if extra, err := conn.NewSession(); err == nil {
		extra.Close()
		t.Errorf("session %d was granted", maxSessions+1)
	}
}

func TestCloseEndsConnectionsUnderWay(t *testing.T) {
	s, c := start(t, Options{})
	key, err := LoadKey(c.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := dial(s, key)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	mute, err := net.Dial("tcp", s.Addr().String()) // never logs in
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := conn.Wait(); err == nil {
		t.Error("the connection is still there")
	}
	if _, err := net.Dial("tcp", s.Addr().String()); err == nil {
		t.Error("the server still listens")
	}
}

func TestWhatCantBeServedIsSaid(t *testing.T) {
	dir := t.TempDir()
	signer, _, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	users := []ssh.PublicKey{signer.PublicKey()}
	for what, o := range map[string]Options{
		"authorized key":    {Dir: dir},
		"no such file":      {Dir: filepath.Join(dir, "missing"), Users: users},
		"listening on":      {Dir: dir, Users: users, Listen: "192.0.2.1:1"},
		"directory to serv": {Dir: os.Args[0], Users: users},
	} {
		if s, err := Start(o); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("error %v, want one with %q", err, what)
			if err == nil {
				s.Close()
			}
		}
	}
	// A client's directory that is in use is not written over.
	if _, err := NewClient(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := NewClient(dir); err == nil {
		t.Error("an existing key was written over")
	}
	keys := filepath.Join(dir, "authorized_keys")
	if err := os.WriteFile(keys, []byte("# mine\n\n"+string(ssh.MarshalAuthorizedKey(signer.PublicKey()))), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := LoadUsers(keys); err != nil || len(got) != 1 {
		t.Errorf("authorized_keys: %v, %v", got, err)
	}
	if err := os.WriteFile(keys, []byte("restrict "+string(ssh.MarshalAuthorizedKey(signer.PublicKey()))), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadUsers(keys); err == nil {
		t.Error("options in authorized_keys are passed over in silence")
	}
}
