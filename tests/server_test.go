package tests

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

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
	for _, file := range []string{k.host, k.user, k.stranger} {
		out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", file).CombinedOutput()
		if err != nil {
			return k, fmt.Errorf("ssh-keygen: %w\n%s", err, out)
		}
	}
	return k, nil
})

// serverOptions are what differs from a plain server.
type serverOptions struct {
	subsystem   string // "" is sftp-server; "none": no SFTP
	maxSessions int    // per connection; 0 is 64
	user        string // who logs in; "" is whoever runs the tests
	extra       string // further lines of sshd_config
}

// server is an sshd on the loopback, and the directory that tests mount from it.
type server struct {
	t        *testing.T
	dir      string // configuration and logs
	root     string // what is mounted, on this disk
	port     int
	user     string
	config   string // of ssh, so that the host "srv" is this server
	listener *exec.Cmd
	ended    chan struct{} // closed when listener has ended
}

func newServer(t *testing.T) *server { t.Helper(); return newServerWith(t, serverOptions{}) }

func newServerWith(t *testing.T, o serverOptions) *server {
	t.Helper()
	k := runKeys(t)
	s := &server{t: t, dir: testDir(t, "server"), user: o.user}
	s.root = filepath.Join(s.dir, "root")
	if err := os.Mkdir(s.root, 0o755); err != nil {
		t.Fatal(err)
	}
	if s.user == "" {
		me, err := user.Current()
		if err != nil {
			t.Fatal(err)
		}
		s.user = me.Username
	}
	subsystem := o.subsystem
	if subsystem == "" {
		subsystem = sftpServer
	}
	if o.maxSessions == 0 {
		o.maxSessions = 64
	}
	s.port = freePort(t)
	var b strings.Builder
	fmt.Fprintf(&b, "Port %d\nListenAddress 127.0.0.1\nHostKey %s\nAuthorizedKeysFile %s.pub\n", s.port, k.host, k.user)
	fmt.Fprintf(&b, "PidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n")
	fmt.Fprintf(&b, "MaxStartups 1000\nMaxSessions %d\nLogLevel VERBOSE\nUseDNS no\nPrintMotd no\n", o.maxSessions)
	// The login shell that starts sftp-server must not run what the user of this machine has in his profile.
	fmt.Fprintf(&b, "SetEnv HOME=%s\n", s.dir)
	if subsystem != "none" {
		fmt.Fprintf(&b, "Subsystem sftp %s\n", subsystem)
	}
	b.WriteString(o.extra)
	write(t, filepath.Join(s.dir, "sshd_config"), b.String())
	if os.Getuid() == 0 {
		// sshd drops its privileges into this empty directory; Debian's service makes it, and there is no service here.
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	public, err := os.ReadFile(k.host + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	// The key stands there by the port, and by the name under which it is asked for when a line is between.
	write(t, filepath.Join(s.dir, "known_hosts"), fmt.Sprintf("[127.0.0.1]:%d %[2]s%s %[2]s", s.port, public, keyAlias))
	s.config = s.clientConfig("ssh_config", s.port, "")
	s.start()
	t.Cleanup(s.stop)
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

// start runs sshd until it takes connections.
func (s *server) start() {
	s.t.Helper()
	sshd, err := exec.LookPath("sshd")
	if err != nil {
		sshd = "/usr/sbin/sshd"
	}
	log, err := os.OpenFile(filepath.Join(s.dir, "sshd.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	s.listener = exec.Command(sshd, "-D", "-e", "-f", filepath.Join(s.dir, "sshd_config"))
	s.listener.Stderr = log
	if err := s.listener.Start(); err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan struct{})
	s.ended = ended
	cmd := s.listener
	go func() { _ = cmd.Wait(); close(ended) }()
	eventually(s.t, 20*time.Second, "sshd takes connections", func() (bool, string) {
		select {
		case <-ended:
			text, _ := os.ReadFile(filepath.Join(s.dir, "sshd.log"))
			s.t.Fatalf("sshd ended:\n%s", text)
		default:
		}
		conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", s.port), time.Second)
		if err != nil {
			return false, err.Error()
		}
		defer conn.Close()
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		banner := make([]byte, 4)
		_, err = conn.Read(banner)
		return string(banner) == "SSH-", fmt.Sprintf("banner %q, %v", banner, err)
	})
}

// down ends the server and all its sessions at once, as a crash or a reboot would.
func (s *server) down() {
	sessions := descendants(s.listener.Process.Pid)
	_ = s.listener.Process.Kill()
	<-s.ended
	for _, p := range sessions {
		_ = syscall.Kill(p.pid, syscall.SIGKILL)
	}
}

func (s *server) stop() {
	s.down()
	if s.t.Failed() {
		text, _ := os.ReadFile(filepath.Join(s.dir, "sshd.log"))
		s.t.Logf("sshd's log, its end:\n%s", tail(text, 20))
	}
}

// sessions lists the processes of logged-in clients.
func (s *server) sessions() []process { return descendants(s.listener.Process.Pid) }

// signalSessions sends a signal to every process that serves a client, but not to the listener: the clients' connections
// are reset (SIGKILL) or fall silent (SIGSTOP), while new ones are taken.
func (s *server) signalSessions(sig syscall.Signal) int {
	sessions := s.sessions()
	for _, p := range sessions {
		_ = syscall.Kill(p.pid, sig)
	}
	return len(sessions)
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
