package sshdial

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// hostBlock is a Host of an ssh_config.
func (s *server) hostBlock(t *testing.T, alias, key string, more ...string) string {
	t.Helper()
	lines := append([]string{
		"Host " + alias, "HostName 127.0.0.1", "Port " + strconv.Itoa(s.port), "IdentityFile " + key,
		"IdentitiesOnly yes", "IdentityAgent none", "UserKnownHostsFile " + s.knownHosts(t), "GlobalKnownHostsFile none"}, more...)
	return strings.Join(lines, "\n  ")
}

func TestProxyJumpOverTwoHops(t *testing.T) {
	dir := t.TempDir()
	k1, k2, k3 := keygen(t, dir, "k1", "ed25519", ""), keygen(t, dir, "k2", "ecdsa", ""), keygen(t, dir, "k3", "ed25519", "")
	s1, s2, s3 := startServer(t, []string{k1}), startServer(t, []string{k2}), startServer(t, []string{k3})
	one, two := s1.hostBlock(t, "one", k1), s2.hostBlock(t, "two", k2)
	t.Run("list", func(t *testing.T) {
		tr := dial(t, Options{Host: "three", ConfigFile: config(t, one, two, s3.hostBlock(t, "three", k3, "ProxyJump one,two"))})
		speaksSFTP(t, tr)
		speaksSFTP(t, tr)
		if !tr.(*sshTransport).under.under.line.atOnce.Load() {
			t.Error("what the first jump host sends is not acknowledged at once")
		}
		if !tr.Info().Relayed {
			t.Error("the line is not said to lead through another host")
		}
	})
	t.Run("nested", func(t *testing.T) {
		tr := dial(t, Options{Host: "three", SSHOptions: []string{"ProxyJump=two"},
			ConfigFile: config(t, one, s2.hostBlock(t, "two", k2, "ProxyJump one"), s3.hostBlock(t, "three", k3))})
		speaksSFTP(t, tr)
	})
	t.Run("written out", func(t *testing.T) {
		tr := dial(t, Options{Host: "three", SSHOptions: []string{fmt.Sprintf("ProxyJump=ssh://%s@one:%d", me(t), s1.port)},
			ConfigFile: config(t, one, s3.hostBlock(t, "three", k3))})
		speaksSFTP(t, tr)
	})
	t.Run("the jump host goes away", func(t *testing.T) {
		tr := dial(t, Options{Host: "three", ConfigFile: config(t, one, s3.hostBlock(t, "three", k3, "ProxyJump one"))})
		ch := speaksSFTP(t, tr)
		tr.(*sshTransport).under.line.Conn.Close()
		if _, err := ch.Read(make([]byte, 1)); err == nil {
			t.Error("read something from a lost line")
		}
		select {
		case <-tr.Done():
		case <-time.After(20 * time.Second):
			t.Error("not over")
		}
		if tr.Err() == nil {
			t.Error("no reason given")
		}
	})
	t.Run("refused on the way", func(t *testing.T) {
		msg, err := refused(t, Options{Host: "three", ConfigFile: config(t,
			s1.hostBlock(t, "one", k3), s3.hostBlock(t, "three", k3, "ProxyJump one"))})
		says(t, msg, "jump host", "one", "refused")
		if !isPermanent(err) {
			t.Error("not permanent")
		}
	})
	t.Run("target unreachable from there", func(t *testing.T) {
		dead := &server{port: freePort(t), hostKey: s3.hostKey}
		msg, err := refused(t, Options{Host: "three", ConfigFile: config(t, one, dead.hostBlock(t, "three", k3, "ProxyJump one"))})
		says(t, msg, "one", "cannot connect to three", "refused")
		if isPermanent(err) {
			t.Error("permanent")
		}
	})
	t.Run("in circles", func(t *testing.T) {
		msg, _ := refused(t, Options{Host: "two", ConfigFile: config(t,
			s1.hostBlock(t, "one", k1, "ProxyJump two"), s2.hostBlock(t, "two", k2, "ProxyJump one"))})
		says(t, msg, "circles")
	})
}

func TestProxyCommand(t *testing.T) {
	key := keygen(t, t.TempDir(), "k", "ed25519", "")
	jump, s := startServer(t, []string{key}), startServer(t, []string{key})
	cfg := config(t, jump.hostBlock(t, "jump", key))
	pids := filepath.Join(t.TempDir(), "pids")
	command := fmt.Sprintf("ProxyCommand sh -c 'echo $$ >>%s; exec ssh -F %s -W %%h:%%p jump'", pids, cfg)
	for _, interactive := range []bool{false, true} {
		o := Options{Host: "far", ConfigFile: config(t, s.hostBlock(t, "far", key, command))}
		if interactive {
			o.Prompt = &fakeUser{}
		}
		tr := dial(t, o)
		speaksSFTP(t, tr)
		if !tr.Info().Relayed {
			t.Error("the line is not said to lead through a program")
		}
		closeTransport(t, tr)
	}
	for pid := range strings.FieldsSeq(read(t, pids)) {
		deadline := time.Now().Add(20 * time.Second)
		for {
			if _, err := os.Stat("/proc/" + pid); err != nil {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("ProxyCommand %s is still there", pid)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

func TestProxyCommandThatFailsIsQuoted(t *testing.T) {
	key := keygen(t, t.TempDir(), "k", "ed25519", "")
	s := startServer(t, []string{key})
	msg, _ := refused(t, Options{Host: "far", ConfigFile: config(t, s.hostBlock(t, "far", key, `ProxyCommand sh -c "echo no way to %h >&2; exit 3"`))})
	says(t, msg, "ProxyCommand", "no way to 127.0.0.1", "exit status 3")
	msg, _ = refused(t, Options{Host: "far", ConfigFile: config(t, s.hostBlock(t, "far", key, `ProxyCommand /nonexistent/program`))})
	says(t, msg, "ProxyCommand", "/nonexistent/program")
}

func TestProxyCommandThatIsSilentIsNotBlamedForItsEnd(t *testing.T) {
	key := keygen(t, t.TempDir(), "k", "ed25519", "")
	s := startServer(t, []string{key})
	for command, said := range map[string]string{"sleep 100": "in time", "sh -c 'echo looking for a way >&2; exec sleep 100'": "looking for a way"} {
		msg, _ := refused(t, Options{Host: "far", ConfigFile: config(t, s.hostBlock(t, "far", key, "ProxyCommand "+command, "ConnectTimeout 1"))})
		says(t, msg, "nothing came from far", "ProxyCommand", said)
		if strings.Contains(msg, "terminated") {
			t.Errorf("it says %s", msg)
		}
	}
}
