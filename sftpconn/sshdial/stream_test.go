package sshdial

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"sshmount/sftpconn/transport"
)

// serveSFTP runs a real SFTP server on a connection.
func serveSFTP(c net.Conn) {
	f, err := c.(*net.TCPConn).File()
	if err != nil {
		return
	}
	defer f.Close()
	cmd := exec.Command(sftpServer)
	cmd.Stdin, cmd.Stdout = f, f
	cmd.Run()
}

// oneChannel expects tr to work and to have a single channel.
func oneChannel(t *testing.T, tr transport.Transport) transport.Channel {
	t.Helper()
	ch := speaksSFTP(t, tr)
	greetAgain(t, ch)
	if _, err := tr.OpenChannel(ctxOf(t)); !errors.Is(err, transport.ErrNoMoreChannels) {
		t.Errorf("a second channel: %v", err)
	}
	if err := tr.Probe(ctxOf(t)); !errors.Is(err, transport.ErrNoProbe) {
		t.Errorf("probe: %v", err)
	}
	if time.Since(tr.LastReceived()) > time.Minute {
		t.Errorf("last received at %v", tr.LastReceived())
	}
	return ch
}

func TestDirectPort(t *testing.T) {
	port := listener(t, serveSFTP)
	d, err := New(ctxOf(t), Options{Host: "127.0.0.1", DirectPort: o2s(port)})
	if err != nil {
		t.Fatal(err)
	}
	tr := dialWith(t, d)
	if i := tr.Info(); i.Client != "directport" || i.Remote != "127.0.0.1:"+o2s(port) {
		t.Errorf("%+v", i)
	}
	ch := oneChannel(t, tr)
	ch.Close()
	<-tr.Done()
	oneChannel(t, dialWith(t, d)) // and again

	msg, _ := refused(t, Options{Host: "127.0.0.1", DirectPort: o2s(freePort(t))})
	says(t, msg, "refused the connection")
	msg, _ = refused(t, Options{Host: "127.0.0.1", DirectPort: o2s(deafPort(t)), ConnectTimeout: 300 * time.Millisecond})
	says(t, msg, "no answer", "300ms")
}

// duplex is a pair of pipes, as standard input and output are.
type duplex struct {
	io.ReadCloser
	w io.WriteCloser
}

func (d duplex) Write(p []byte) (int, error) { return d.w.Write(p) }
func (d duplex) Close() error                { return errors.Join(d.ReadCloser.Close(), d.w.Close()) }

func TestPassive(t *testing.T) {
	cmd := exec.Command(sftpServer)
	w, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d, err := New(ctxOf(t), Options{Passive: duplex{r, w}})
	if err != nil {
		t.Fatal(err)
	}
	tr := dialWith(t, d)
	ch := oneChannel(t, tr)
	if _, err := d.Dial(ctxOf(t)); err == nil || !isPermanent(err) {
		t.Errorf("a second login: %v", err)
	}
	cmd.Process.Kill()
	if _, err := ch.Read(make([]byte, 1)); err == nil {
		t.Error("read something from a dead server")
	}
	<-tr.Done()
	if tr.Err() == nil {
		t.Error("no reason given")
	}
	cmd.Wait()
}

func TestVSockSaysWhatIsWrong(t *testing.T) {
	msg, _ := refused(t, Options{VSock: "2:99999", ConnectTimeout: 5 * time.Second})
	says(t, msg, "vsock 2:99999")
}

// external makes options for a login by the system's ssh.
func (s *server) external(t *testing.T, key string, more ...string) Options {
	o := s.options(t, key, more...)
	o.SSHCommand = "ssh"
	return o
}

func TestExternalSSH(t *testing.T) {
	key := keygen(t, t.TempDir(), "k", "ed25519", "")
	s := startServer(t, []string{key})
	o := s.external(t, key)
	d, err := New(ctxOf(t), o)
	if err != nil {
		t.Fatal(err)
	}
	tr := dialWith(t, d)
	if i := tr.Info(); i.Client != "ssh" || !strings.HasPrefix(i.Remote, "ssh ") || i.User != me(t) {
		t.Errorf("%+v", i)
	}
	says(t, strings.Join(d.externalOf(d.route), " "), "-oClearAllForwardings=yes", "-oServerAliveInterval=5", "-s 127.0.0.1 sftp")
	ch := oneChannel(t, tr)
	// The process dies: the channel says so.
	tr.(*streamTransport).line.Conn.(*process).cmd.Process.Kill()
	if _, err := ch.Read(make([]byte, 1)); err == nil {
		t.Error("read something from a dead ssh")
	} else {
		says(t, err.Error(), "ssh", "killed")
	}
	<-tr.Done()
	// Again, with nobody at the terminal.
	tr = dialWith(t, d)
	p := tr.(*streamTransport).line.Conn.(*process)
	oneChannel(t, tr)
	closeTransport(t, tr)
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		t.Error("ssh is still there after Close")
	}

	o.SFTPServer = sftpServer
	oneChannel(t, dial(t, o))
}

func TestExternalSSHSaysWhyItFailed(t *testing.T) {
	dir := t.TempDir()
	key, other := keygen(t, dir, "k", "ed25519", ""), keygen(t, dir, "other", "ed25519", "")
	s := startServer(t, []string{key})
	fails := func(o Options, permanent bool, parts ...string) {
		t.Helper()
		msg, err := refused(t, o)
		says(t, msg, parts...)
		if isPermanent(err) != permanent {
			t.Errorf("permanent is %v: %s", !permanent, msg)
		}
	}
	fails(s.external(t, other), true, "Permission denied (publickey)")
	fails(s.external(t, key, "UserKnownHostsFile=/dev/null", "StrictHostKeyChecking=yes"), true, "Host key verification failed")
	o := s.external(t, key)
	o.Port = o2s(freePort(t))
	fails(o, false, "Connection refused")
	o = s.external(t, key)
	o.SFTPServer = "none-such"
	fails(o, true, "subsystem request failed")
	o.SSHCommand = "/nonexistent/ssh -v"
	fails(o, true, "/nonexistent/ssh", "cannot be run")
	o.SSHCommand = `sh -c "echo 'it is \"so\"' >&2; exit 7" x`
	fails(o, false, `it is "so"`, "exit status 7")
}

func TestExternalSSHIsChosenByItself(t *testing.T) {
	key := keygen(t, t.TempDir(), "k", "ed25519", "")
	s := startServer(t, []string{key})
	var log strings.Builder
	o := s.options(t, key, "Compression=yes")
	o.Logger = logTo(&log)
	tr := dial(t, o)
	if tr.Info().Client != "ssh" {
		t.Errorf("%+v", tr.Info())
	}
	oneChannel(t, tr)
	if strings.Count(log.String(), "\n") != 1 {
		t.Errorf("not one line: %s", log.String())
	}
	says(t, log.String(), "system's ssh", "Compression")
}

func TestExternalSSHGetsThePasswordGivenBeforehand(t *testing.T) {
	// The question is answered once, and only if it is for a password.
	a, err := newAskpass([]byte("pass word'$x"))
	if err != nil {
		t.Fatal(err)
	}
	ask := func(question string) (string, error) {
		out, err := exec.Command(a.script, question).Output()
		return string(out), err
	}
	if got, err := ask("Are you sure you want to continue connecting (yes/no)? "); err == nil || got != "" {
		t.Errorf("the question of the host key was answered with %q", got)
	}
	if got, err := ask("anna@example's password: "); err != nil || got != "pass word'$x\n" {
		t.Errorf("%q, %v", got, err)
	}
	if got, _ := ask("anna@example's password: "); got != "" {
		t.Errorf("the second question was answered with %q", got)
	}
	a.close()
	if _, err := os.Stat(a.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the script is still there: %v", err)
	}
}

func TestControlMasterIsRidden(t *testing.T) {
	key := keygen(t, t.TempDir(), "k", "ed25519", "")
	s := startServer(t, []string{key})
	socket := masterSocket(t)
	cfg := config(t, s.hostBlock(t, "srv", key, "ControlPath "+socket))
	master := startMaster(t, cfg, socket, "-N", "srv")
	o := Options{Host: "srv", ConfigFile: cfg}
	tr := dial(t, o)
	if !isRidden(tr) {
		t.Fatalf("%+v", tr.Info())
	}
	if !tr.Info().Relayed {
		t.Error("the line is not said to lead through a program")
	}
	a, b := speaksSFTP(t, tr), speaksSFTP(t, tr)
	greetAgain(t, a)
	greetAgain(t, b)
	if err := tr.Probe(ctxOf(t)); !errors.Is(err, transport.ErrNoProbe) {
		t.Errorf("probe: %v", err)
	}
	closeTransport(t, tr)
	// Without the master the way is the usual one.
	master.Process.Kill()
	master.Wait()
	tr = dial(t, o)
	if isRidden(tr) {
		t.Errorf("%+v", tr.Info())
	}
	speaksSFTP(t, tr)
}
