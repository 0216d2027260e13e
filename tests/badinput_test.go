package tests

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sshmount/tests/sshd"
)

// refused runs a mount that must not come about: within the limit, with a non-zero status, one line on standard error
// that has the words (any of "a|b"), and nothing left behind. It is run as a user would, without -f.
func refused(t *testing.T, limit time.Duration, args []string, words ...string) {
	t.Helper()
	refusedEnv(t, limit, programEnv(), "", args, words...)
}

func refusedEnv(t *testing.T, limit time.Duration, env []string, stdin string, args []string, words ...string) {
	t.Helper()
	began := time.Now()
	out, err := commandEnv(limit+15*time.Second, "", env, strings.NewReader(stdin), binary, args...)
	took := time.Since(began)
	if err == nil {
		t.Errorf("%q succeeded", args)
	}
	if took > limit {
		t.Errorf("%q took %v, at most %v expected", args, took, limit)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if !standIn && len(lines) != 1 {
		t.Errorf("%q says %d lines, want one:\n%s", args, len(lines), out)
	}
	for _, word := range words {
		found := standIn
		for alternative := range strings.SplitSeq(word, "|") {
			found = found || strings.Contains(strings.ToLower(out), strings.ToLower(alternative))
		}
		if !found {
			t.Errorf("%q does not say %q:\n%s", args, word, out)
		}
	}
	for _, a := range args {
		if !strings.Contains(a, "-mnt-") {
			continue
		}
		if left := mountsUnder(a); len(left) > 0 {
			t.Errorf("a mount is left at %s", a)
			detach(a)
		}
		eventually(t, 10*time.Second, "no process left", func() (bool, string) {
			left := processes(a)
			return len(left) == 0, fmt.Sprint(left)
		})
	}
}

func TestWrongHostPortOrKey(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	point := mountPoint(t)
	plain := func(extra ...string) []string {
		return append([]string{"-F", s.config, s.remote(), point}, extra...)
	}
	t.Run("host unknown", func(t *testing.T) {
		refused(t, 25*time.Second, []string{"-F", "/dev/null", "no-such-host.invalid:", point}, "no-such-host.invalid")
	})
	t.Run("port closed", func(t *testing.T) {
		port := freePort(t)
		refused(t, 20*time.Second, plain("-p", fmt.Sprint(port)), "refused", fmt.Sprint(port))
	})
	t.Run("port of something else", func(t *testing.T) {
		port := listener(t, func(c net.Conn) { _, _ = c.Write([]byte("HTTP/1.0 400 Bad Request\r\n\r\n")); time.Sleep(time.Second) })
		refused(t, 20*time.Second, plain("-p", fmt.Sprint(port), "-o", "ConnectTimeout=5"), "127.0.0.1")
	})
	t.Run("server is mute", func(t *testing.T) {
		port := listener(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
		refused(t, 12*time.Second, plain("-p", fmt.Sprint(port), "-o", "ConnectTimeout=3"), "127.0.0.1", "no answer|timeout|timed out|did not answer|within")
	})
	t.Run("network unreachable", func(t *testing.T) {
		// An address of documentation: nobody answers, or the network says at once that there is no way.
		refused(t, 12*time.Second, []string{"-F", "/dev/null", "-o", "ConnectTimeout=2,StrictHostKeyChecking=no", "192.0.2.1:", point}, "192.0.2.1")
	})
	t.Run("key refused", func(t *testing.T) {
		config := s.clientConfig("config_stranger", s.port, "")
		text := strings.ReplaceAll(read(t, config), "user_key", "stranger_key")
		write(t, config, text)
		refused(t, 20*time.Second, []string{"-F", config, s.remote(), point}, "key|authenticat|log in|login", "publickey|stranger_key")
	})
	t.Run("key file missing", func(t *testing.T) {
		config := s.clientConfig("config_nokey", s.port, "")
		write(t, config, strings.ReplaceAll(read(t, config), "user_key", "no-such-key"))
		refused(t, 20*time.Second, []string{"-F", config, s.remote(), point}, "key|authenticat|log in|login")
	})
	t.Run("host beginning with a dash", func(t *testing.T) {
		refused(t, 5*time.Second, []string{"--", "-oProxyCommand=touch " + s.local("pwned") + ":", point})
		refused(t, 5*time.Second, []string{"--", "user@-oProxyCommand=touch " + s.local("pwned") + ":", point})
		if exists(s.local("pwned")) {
			t.Error("a host name was run as a command")
		}
	})
	if s.local("x"); len(mountsUnder(point)) != 0 {
		t.Error("something is mounted")
	}
}

func TestWrongDirectories(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	write(t, s.local("file"), "x")
	point := mountPoint(t)
	mount := func(remote, point string, more ...string) []string {
		return append([]string{"-F", s.config, remote, point}, more...)
	}
	t.Run("remote missing", func(t *testing.T) {
		refused(t, 20*time.Second, mount(s.remote("missing"), point), "missing", "no such file|does not exist|not there")
	})
	t.Run("remote home of nobody", func(t *testing.T) {
		onlySshmount(t)
		refused(t, 20*time.Second, mount("srv:~no-such-user/x", point), "no such user|no such file", "a directory that is called so is written ./~no-such-user/x")
	})
	t.Run("remote a file", func(t *testing.T) {
		refused(t, 20*time.Second, mount(s.remote("file"), point), "file", "not a directory|no directory")
	})
	t.Run("mount point missing", func(t *testing.T) {
		refused(t, 20*time.Second, mount(s.remote(), point+"/missing"), "missing", "no such file|does not exist|not there")
	})
	t.Run("mount point a file", func(t *testing.T) {
		file := filepath.Join(mountPoint(t), "file")
		write(t, file, "x")
		refused(t, 20*time.Second, mount(s.remote(), file), file, "not a directory|no directory")
	})
	t.Run("mount point not empty", func(t *testing.T) {
		onlySshmount(t)
		full := mountPoint(t)
		write(t, filepath.Join(full, "here"), "x")
		refused(t, 20*time.Second, mount(s.remote(), full), full, "not empty", "nonempty")
		m := mountArgs(t, mount(s.remote(), full, "-o", "nonempty"), nil)
		wantContent(t, m.path("file"), "x")
	})
	t.Run("mount point of another user", func(t *testing.T) {
		needRoot(t)
		onlySshmount(t)
		key := filepath.Join(testDir(t, "key"), "key")
		run(t, "", "install", "-o", "nobody", "-m", "600", filepath.Join(scratch, "user_key"), key)
		home := testDir(t, "home")
		must(t, os.Chown(home, 65534, 65534))
		config := s.clientConfig("config_other", s.port, "IdentityFile "+key)
		cmd := exec.Command(binary, "-F", config, s.remote(), point)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_RUNTIME_DIR=" + home, "XDG_STATE_HOME=" + home}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), point) || strings.Count(strings.TrimSpace(string(out)), "\n") > 0 {
			t.Errorf("mounting at another user's directory: %v, says %q", err, out)
		}
	})
	t.Run("no arguments", func(t *testing.T) {
		refused(t, 5*time.Second, nil)
		refused(t, 5*time.Second, []string{"srv:"}, "mount point|mountpoint")
		refused(t, 5*time.Second, []string{"no-colon", point}, "no-colon")
	})
}

func TestUnknownOptionNamesTheNearest(t *testing.T) {
	t.Parallel()
	onlySshmount(t)
	s := newServer(t)
	point := mountPoint(t)
	for wrong, nearest := range map[string]string{
		"reconect": "reconnect", "allow-other": "allow_other", "dcache_timout=3": "dcache_timeout", "idmp=user": "idmap", "ServerAliveIntervall=3": "ServerAliveInterval",
	} {
		refused(t, 10*time.Second, []string{"-F", s.config, s.remote(), point, "-o", wrong}, strings.SplitN(wrong, "=", 2)[0], nearest)
	}
	refused(t, 10*time.Second, []string{"-F", s.config, s.remote(), point, "-o", "dcache_timeout=soon"}, "dcache_timeout", "soon")
	refused(t, 10*time.Second, []string{"-F", s.config, s.remote(), point, "-o", "idmap=maybe"}, "idmap", "maybe")
	refused(t, 10*time.Second, []string{"-F", s.config, s.remote(), point, "-p", "70000"}, "70000")
}

func TestServersThatSpeakNoSFTP(t *testing.T) {
	t.Parallel()
	t.Run("no subsystem", func(t *testing.T) {
		s := newServerWith(t, serverOptions{subsystem: sshd.NoSFTP})
		refused(t, 20*time.Second, []string{"-F", s.config, s.remote(), mountPoint(t)}, "sftp")
	})
	t.Run("talks before SFTP", func(t *testing.T) {
		script := filepath.Join(testDir(t, "chatty"), "chatty")
		write(t, script, "#!/bin/sh\necho Welcome to this server\nexec "+sftpServer+"\n")
		must(t, os.Chmod(script, 0o755))
		s := newServerWith(t, serverOptions{subsystem: script})
		refused(t, 20*time.Second, []string{"-F", s.config, s.remote(), mountPoint(t)}, "Welcome")
	})
	t.Run("ends at once", func(t *testing.T) {
		s := newServerWith(t, serverOptions{subsystem: "/bin/false"})
		refused(t, 20*time.Second, []string{"-F", s.config, s.remote(), mountPoint(t)}, "sftp")
	})
	t.Run("says nothing", func(t *testing.T) {
		s := newServerWith(t, serverOptions{subsystem: "/bin/sleep 30"})
		refused(t, 15*time.Second, []string{"-F", s.config, s.remote(), mountPoint(t), "-o", "ConnectTimeout=3"}, "sftp")
	})
	t.Run("ssh_command fails", func(t *testing.T) {
		s := newServer(t)
		refused(t, 20*time.Second, []string{"-F", s.config, s.remote(), mountPoint(t), "-o", "ssh_command=/no/such/ssh"}, "/no/such/ssh")
		refused(t, 20*time.Second, []string{"-F", s.config, s.remote(), mountPoint(t), "-o", "ssh_command=false"}, "false")
	})
}
