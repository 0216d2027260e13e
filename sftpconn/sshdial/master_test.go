package sshdial

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sshmount/sftpconn/transport"
)

// masterSocket is where a ControlMaster of the test can listen: the path of a socket must be short.
func masterSocket(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "cm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

// startMaster runs a ControlMaster with a configuration, and returns when it takes clients.
func startMaster(t *testing.T, cfg, socket string, args ...string) *exec.Cmd {
	t.Helper()
	master := exec.Command("ssh", append([]string{"-F", cfg, "-S", socket, "-M"}, args...)...)
	if err := master.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		master.Process.Kill()
		master.Wait()
	})
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("unix", socket); err == nil {
			c.Close()
			return master
		}
		if time.Now().After(deadline) {
			t.Fatal("the master does not come up")
		}
	}
}

func isRidden(tr transport.Transport) bool {
	return strings.HasPrefix(tr.Info().Remote, "ControlMaster ")
}

// behindGate is a server with a master whose line goes through a gate, and the options of a login that would ride on
// it and else connect without the gate.
func behindGate(t *testing.T) (s *server, g *gate, o Options) {
	t.Helper()
	key := keygen(t, t.TempDir(), "k", "ed25519", "")
	s = startServer(t, []string{key})
	g = newGate(t, s.address())
	socket := masterSocket(t)
	startMaster(t, config(t, s.hostBlock(t, "srv", key, "HostKeyAlias [127.0.0.1]:"+o2s(s.port))), socket, "-p", o2s(g.port), "-N", "srv")
	return s, g, Options{Host: "srv", ConfigFile: config(t, s.hostBlock(t, "srv", key, "ControlPath "+socket))}
}

// A master answers for itself as long as it has not noticed that its line is dead.
func TestAMasterWithADeadLineIsNotRidden(t *testing.T) {
	_, g, o := behindGate(t)
	o.ConnectTimeout = 10 * time.Second // for the master and for the login each
	g.stall()
	tr := dial(t, o)
	if isRidden(tr) {
		t.Fatalf("%+v", tr.Info())
	}
	speaksSFTP(t, tr)
}

func TestAMasterThatWasLeftInSilenceIsNotRiddenFirst(t *testing.T) {
	s, g, o := behindGate(t)
	o.ConnectTimeout = time.Hour // for the master too, if it were asked
	d, err := New(ctxOf(t), o)
	if err != nil {
		t.Fatal(err)
	}
	tr := dialWith(t, d)
	if !isRidden(tr) {
		t.Fatalf("%+v", tr.Info())
	}
	speaksSFTP(t, tr)
	closeTransport(t, tr)

	tr = dialWith(t, d)
	if isRidden(tr) {
		t.Fatal("the master was asked first that did not answer")
	}
	speaksSFTP(t, tr)

	// Where nothing else is left it is asked again, and is as good as before when it answers.
	write(t, filepath.Join(s.dir, "authorized"), "")
	for range 2 {
		tr = dialWith(t, d)
		if !isRidden(tr) {
			t.Fatalf("%+v", tr.Info())
		}
		speaksSFTP(t, tr)
	}
	g.stall()
}

func TestAMasterThatEndedByItselfLeavesNoDoubtOfTheNext(t *testing.T) {
	key := keygen(t, t.TempDir(), "k", "ed25519", "")
	s := startServer(t, []string{key})
	socket := masterSocket(t)
	cfg := config(t, s.hostBlock(t, "srv", key, "ControlPath "+socket))
	d, err := New(ctxOf(t), Options{Host: "srv", ConfigFile: cfg})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		master := startMaster(t, cfg, socket, "-N", "srv")
		tr := dialWith(t, d)
		if !isRidden(tr) {
			t.Fatalf("%+v", tr.Info())
		}
		speaksSFTP(t, tr)
		run(t, "ssh", "-S", socket, "-O", "exit", "srv")
		master.Wait()
		<-tr.Done()
		tr.Close()
	}
}

// OpenSSH's own clients fall back as well.
func TestAMasterWithoutASessionLeftIsNotRidden(t *testing.T) {
	key := keygen(t, t.TempDir(), "k", "ed25519", "")
	s := startServer(t, []string{key}, "MaxSessions 0")
	socket := masterSocket(t)
	cfg := config(t, s.hostBlock(t, "srv", key, "ControlPath "+socket))
	startMaster(t, cfg, socket, "-N", "srv")
	tr := dial(t, Options{Host: "srv", ConfigFile: cfg})
	if isRidden(tr) {
		t.Errorf("%+v", tr.Info())
	}
}

func TestOfAMasterThatIsAskedLastNothingElseIsPromised(t *testing.T) {
	for last, want := range map[bool]string{false: "gives no session; connecting without it", true: "gives no session either"} {
		key := keygen(t, t.TempDir(), "k", "ed25519", "")
		s := startServer(t, []string{key}, "MaxSessions 0")
		socket := masterSocket(t)
		cfg := config(t, s.hostBlock(t, "srv", key, "ControlPath "+socket))
		startMaster(t, cfg, socket, "-N", "srv")
		write(t, filepath.Join(s.dir, "authorized"), "")
		var log strings.Builder
		d, err := New(ctxOf(t), Options{Host: "srv", ConfigFile: cfg, Logger: logTo(&log)})
		if err != nil {
			t.Fatal(err)
		}
		if last {
			d.master.note(socket, nil) // as where it gave none in time
		}
		dialInVain(t, d, "refused")
		if strings.Count(log.String(), "gives no session") != 1 || !strings.Contains(log.String(), want) {
			t.Errorf("want %q in:\n%s", want, log.String())
		}
	}
}
