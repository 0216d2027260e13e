package tests

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sshmount/tests/sshd"
)

// keyAlias is the name of every server in known_hosts, whatever port it is reached at.
const keyAlias = "the-server"

const sftpServer = "/usr/lib/openssh/sftp-server"

// keys are made once for all servers of a run.
type keys struct {
	host, user, stranger string // files of the private keys; the public ones end in .pub
}

var runKeys = shared(func() (keys, error) {
	k := keys{
		host:     filepath.Join(scratch, "host_key"),
		user:     filepath.Join(scratch, "user_key"),
		stranger: filepath.Join(scratch, "stranger_key"),
	}
	return k, errors.Join(sshd.MakeKey(k.host), sshd.MakeKey(k.user), sshd.MakeKey(k.stranger))
})

// serverOptions are what differs from a plain server.
type serverOptions struct {
	subsystem   string // as of sshd.Config
	maxSessions int    // per connection; 0 is 64
	user        string // who logs in; "" is whoever runs the tests
	extra       string // further lines of sshd_config
}

// server is an sshd on the loopback, and the directory that tests mount from it.
type server struct {
	t      *testing.T
	sshd   *sshd.Server
	dir    string // configuration and logs
	root   string // what is mounted, on this disk
	port   int
	user   string
	config string // of ssh, so that the host "srv" is this server
}

func newServer(t *testing.T) *server { t.Helper(); return newServerWith(t, serverOptions{}) }

func newServerWith(t *testing.T, o serverOptions) *server {
	t.Helper()
	k := runKeys(t)
	s := &server{t: t, dir: testDir(t, "server"), port: freePort(t)}
	s.root = filepath.Join(s.dir, "root")
	must(t, os.Mkdir(s.root, 0o755))
	var err error
	s.sshd, err = sshd.Start(sshd.Config{
		Dir: s.dir, Port: s.port, HostKey: k.host, UserKey: k.user, Subsystem: o.subsystem, MaxSessions: cmp.Or(o.maxSessions, 64),
		// The login shell that starts sftp-server must not run what the user of this machine has in his profile.
		Extra: fmt.Sprintf("MaxStartups 1000\nSetEnv HOME=%s\n%s", s.dir, o.extra),
	})
	must(t, err)
	t.Cleanup(s.stop)
	s.user = cmp.Or(o.user, s.sshd.User)
	// The key stands there by the port, and by the name under which it is asked for when a line is between.
	write(t, filepath.Join(s.dir, "known_hosts"), fmt.Sprintf("[127.0.0.1]:%d %s\n%s %[2]s\n", s.port, s.sshd.HostKey(), keyAlias))
	s.config = s.clientConfig("ssh_config", s.port, "")
	return s
}

// clientConfig writes an ssh_config under which the host "srv" is reached at port. first is put before the rest,
// so that it has precedence.
func (s *server) clientConfig(name string, port int, first string) string {
	file := filepath.Join(s.dir, name)
	write(s.t, file, fmt.Sprintf(`%s
Host srv
  HostName 127.0.0.1
  HostKeyAlias %s
  Port %d
  User %s
Host *
  IdentityFile %s
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile %s
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
`, first, keyAlias, port, s.user, filepath.Join(scratch, "user_key"), filepath.Join(s.dir, "known_hosts")))
	return file
}

// start runs the server again after down.
func (s *server) start() {
	s.t.Helper()
	must(s.t, s.sshd.Restart())
}

// down ends the server and all its sessions at once, as a crash or a reboot would.
func (s *server) down() { s.sshd.Stop() }

func (s *server) stop() {
	s.down()
	if s.t.Failed() {
		text, _ := os.ReadFile(filepath.Join(s.dir, "sshd.log"))
		s.t.Logf("sshd's log, its end:\n%s", tail(text, 20))
	}
}

// remote is the first argument of a mount: the root, or what is below it.
func (s *server) remote(below ...string) string {
	return "srv:" + filepath.Join(append([]string{s.root}, below...)...)
}

// local is a path on the server's disk.
func (s *server) local(below ...string) string {
	return filepath.Join(append([]string{s.root}, below...)...)
}

// freePort gives a port that is kept for this test (see sshd.KeepPort).
func freePort(t *testing.T) int {
	t.Helper()
	port, keep, err := sshd.KeepPort("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keep.Close() })
	return port
}

// testDir makes a directory of a test. It is not t.TempDir, which would be removed, through a mount even, while
// something still hangs there: the run removes all directories at its end, when no mount is left.
func testDir(t *testing.T, what string) string {
	t.Helper()
	name := strings.Map(func(r rune) rune {
		if strings.ContainsRune("/ '\"=,:", r) {
			return '-'
		}
		return r
	}, t.Name())
	dir, err := os.MkdirTemp(scratch, name+"-"+what+"-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// tail is the last n lines of text.
func tail(text []byte, n int) []byte {
	lines := bytes.SplitAfter(text, []byte("\n"))
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return bytes.Join(lines, nil)
}

// listener takes connections on the loopback and gives them to serve.
func listener(t *testing.T, serve func(net.Conn)) (port int) {
	t.Helper()
	done := make(chan struct{})
	t.Cleanup(func() { close(done) })
	return serveDirect(t, func(c net.Conn) {
		ended := make(chan struct{})
		go func() { defer close(ended); serve(c) }()
		select {
		case <-done:
			c.Close()
			<-ended
		case <-ended:
		}
	})
}
