package sshdial

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sshmount/sftpconn/transport"
	"sshmount/tests/sshd"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("sshmount/sftpconn/sshdial.heedSuspensions"))
}

const sftpServer = "/usr/lib/openssh/sftp-server"

// run runs a program that must succeed.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// keygen makes a key pair and returns the private key's file.
func keygen(t *testing.T, dir, name, kind, passphrase string, more ...string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	run(t, "ssh-keygen", append([]string{"-q", "-t", kind, "-N", passphrase, "-C", name, "-f", file}, more...)...)
	return file
}

func write(t *testing.T, file, content string) string {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// me is the user that runs the tests.
func me(t *testing.T) string {
	t.Helper()
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return u.Username
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

// A server is a real sshd of this test, on loopback.
type server struct {
	dir     string
	port    int
	hostKey string
	log     string
	cmd     *exec.Cmd
}

// startServer runs sshd with an authorized_keys of the given public keys and
// more lines of configuration, which come first and so count.
func startServer(t *testing.T, authorized []string, config ...string) *server {
	t.Helper()
	s := &server{dir: t.TempDir(), port: freePort(t)}
	s.hostKey = keygen(t, s.dir, "host", "ed25519", "")
	s.start(t, authorized, config...)
	return s
}

func (s *server) start(t *testing.T, authorized []string, config ...string) {
	t.Helper()
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil && os.Geteuid() == 0 {
		t.Fatal(err)
	}
	var keys strings.Builder
	for _, file := range authorized {
		keys.WriteString(read(t, file+".pub"))
	}
	write(t, filepath.Join(s.dir, "authorized"), keys.String())
	s.log = filepath.Join(s.dir, "log")
	// Of two lines the first counts, but of MaxStartups the last.
	all := append(append([]string{"MaxStartups 100"}, config...),
		"Port "+strconv.Itoa(s.port), "ListenAddress 127.0.0.1", "HostKey "+s.hostKey,
		"AuthorizedKeysFile "+filepath.Join(s.dir, "authorized"), "StrictModes no", "UsePAM no",
		"PidFile none", "PermitRootLogin yes", "PasswordAuthentication no", "KbdInteractiveAuthentication no",
		"LogLevel DEBUG1",
		// bash reads .bashrc when sshd runs it, which may take long; an empty home has none.
		"SetEnv HOME="+s.dir, "Subsystem sftp "+sftpServer)
	file := write(t, filepath.Join(s.dir, "sshd_config"), strings.Join(all, "\n")+"\n")
	s.cmd = exec.Command("/usr/sbin/sshd", "-D", "-f", file, "-E", s.log)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.stop()
		if t.Failed() {
			t.Logf("sshd on port %d:\n%s", s.port, read(t, s.log))
		}
	})
	deadline := time.Now().Add(20 * time.Second)
	for {
		c, err := net.Dial("tcp", s.address())
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("sshd does not come up: %v\n%s", err, read(t, s.log))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (s *server) stop() {
	if s.cmd != nil {
		s.cmd.Process.Kill()
		s.cmd.Wait()
		s.cmd = nil
	}
}

func (s *server) address() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

// knownHosts writes a file in which the server's key is known.
func (s *server) knownHosts(t *testing.T) string {
	t.Helper()
	pub := strings.Fields(read(t, s.hostKey+".pub"))
	return write(t, filepath.Join(t.TempDir(), "known_hosts"),
		fmt.Sprintf("[127.0.0.1]:%d %s %s\n", s.port, pub[0], pub[1]))
}

// config writes an ssh_config of this test alone.
func config(t *testing.T, lines ...string) string {
	t.Helper()
	return write(t, filepath.Join(t.TempDir(), "config"), strings.Join(lines, "\n")+"\n")
}

// options are for a login to s with one key.
func (s *server) options(t *testing.T, key string, sshOptions ...string) Options {
	t.Helper()
	return Options{
		Host: "127.0.0.1", Port: strconv.Itoa(s.port), User: me(t), ConfigFile: "none",
		SSHOptions: append(sshOptions, "IdentityFile="+key, "IdentitiesOnly=yes", "IdentityAgent=none",
			"UserKnownHostsFile="+s.knownHosts(t), "GlobalKnownHostsFile=none"),
		ConnectTimeout: 30 * time.Second,
	}
}

func ctxOf(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// dial logs in, or ends the test. The transport is closed at the end.
func dial(t *testing.T, o Options) transport.Transport {
	t.Helper()
	d, err := New(ctxOf(t), o)
	if err != nil {
		t.Fatal(err)
	}
	return dialWith(t, d)
}

func dialWith(t *testing.T, d *Dialer) transport.Transport {
	t.Helper()
	tr, err := d.Dial(ctxOf(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeTransport(t, tr) })
	return tr
}

// closeTransport closes tr, and expects it to be over soon.
func closeTransport(t *testing.T, tr transport.Transport) {
	t.Helper()
	tr.Close()
	select {
	case <-tr.Done():
	case <-time.After(20 * time.Second):
		t.Error("a closed transport is not over after 20 s")
	}
}

// refused expects a login to fail, and returns the message.
func refused(t *testing.T, o Options) (string, error) {
	t.Helper()
	d, err := New(ctxOf(t), o)
	if err == nil {
		var tr transport.Transport
		if tr, err = d.Dial(ctxOf(t)); err == nil {
			tr.Close()
			t.Fatal("logged in, which should have been refused")
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("the error is longer than a line: %q", err)
	}
	return err.Error(), err
}

// says expects a message to contain each of the parts.
func says(t *testing.T, message string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(message, p) {
			t.Errorf("the message does not contain %q:\n%s", p, message)
		}
	}
}

// speaksSFTP opens a channel and expects an SFTP server at its end.
func speaksSFTP(t *testing.T, tr transport.Transport) transport.Channel {
	t.Helper()
	ch, err := tr.OpenChannel(ctxOf(t))
	if err != nil {
		t.Fatal(err)
	}
	limit := time.AfterFunc(60*time.Second, func() { tr.Close() })
	defer limit.Stop()
	greet(t, ch)
	return ch
}

// greet sends INIT and expects VERSION 3.
func greet(t *testing.T, ch transport.Channel) {
	t.Helper()
	if _, err := ch.Write([]byte{0, 0, 0, 5, 1, 0, 0, 0, 3}); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 9)
	if _, err := io.ReadFull(ch, head); err != nil {
		t.Fatalf("no answer from the SFTP server: %v; %s", err, ch.Remarks())
	}
	if !bytes.Equal(head[4:], []byte{2, 0, 0, 0, 3}) {
		t.Fatalf("no SFTP server answered: % x", head)
	}
	// The rest are its extensions.
	if _, err := io.CopyN(io.Discard, ch, int64(binary.BigEndian.Uint32(head))-5); err != nil {
		t.Fatal(err)
	}
}
