package tests

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// passwordServer is an SSH server that takes one password, with OpenSSH's sftp-server behind it. A real sshd would
// want the password of an account of this machine.
func passwordServer(t *testing.T, password string) (port int, knownHosts string) {
	t.Helper()
	k := runKeys(t)
	private, err := os.ReadFile(k.host)
	must(t, err)
	signer, err := ssh.ParsePrivateKey(private)
	must(t, err)
	config := &ssh.ServerConfig{
		PasswordCallback: func(_ ssh.ConnMetadata, given []byte) (*ssh.Permissions, error) {
			if subtle.ConstantTimeCompare(given, []byte(password)) == 1 {
				return nil, nil
			}
			return nil, errors.New("wrong password")
		},
	}
	config.AddHostKey(signer)
	port = serveDirect(t, func(conn net.Conn) { servePasswordLogin(conn, config) })
	knownHosts = filepath.Join(testDir(t, "known"), "known_hosts")
	write(t, knownHosts, fmt.Sprintf("[127.0.0.1]:%d %s", port, read(t, k.host+".pub")))
	return port, knownHosts
}

// servePasswordLogin serves one connection until its end.
func servePasswordLogin(conn net.Conn, config *ssh.ServerConfig) {
	server, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for c := range channels {
		channel, requests, err := c.Accept()
		if err != nil {
			continue
		}
		go func() {
			for r := range requests {
				isSFTP := r.Type == "subsystem" && strings.HasSuffix(string(r.Payload), "sftp")
				_ = r.Reply(isSFTP, nil)
				if isSFTP {
					go serveSFTP(channel)
				}
			}
		}()
	}
	_ = server.Wait()
}

func serveSFTP(channel ssh.Channel) {
	cmd := exec.Command(sftpServer)
	cmd.Stdin, cmd.Stdout = channel, channel
	_ = cmd.Run()
	channel.Close()
}

func TestPasswordFromStandardInput(t *testing.T) {
	t.Parallel()
	onlySshmount(t)
	const password = "correct horse, battery=staple"
	port, known := passwordServer(t, password)
	root := testDir(t, "root")
	args := func(point string) []string {
		return []string{"-F", "/dev/null", "-p", fmt.Sprint(port), "-o", "UserKnownHostsFile=" + known + ",IdentityFile=none,IdentityAgent=none",
			"-o", "password_stdin", "user@127.0.0.1:" + root, point}
	}

	t.Run("right", func(t *testing.T) {
		point := mountPoint(t)
		t.Cleanup(func() { detach(point) })
		out, err := commandEnv(programLimit, "", programEnv(), strings.NewReader(password+"\n"), binary, args(point)...)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		write(t, filepath.Join(point, "f"), "by password")
		wantContent(t, filepath.Join(root, "f"), "by password")
		for _, p := range processes(point) {
			if strings.Contains(p.commandLine(), password) {
				t.Error("the password stands in the command line")
			}
			if environ, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.pid)); strings.Contains(string(environ), password) {
				t.Error("the password stands in the environment")
			}
		}
		run(t, "", "fusermount3", "-u", point)
		eventually(t, 20*time.Second, "the daemon ends", func() (bool, string) {
			left := processes(point)
			return len(left) == 0, fmt.Sprint(left)
		})
	})
	t.Run("wrong", func(t *testing.T) {
		refusedEnv(t, 20*time.Second, programEnv(), "wrong\n", args(mountPoint(t)), "password")
	})
	t.Run("missing", func(t *testing.T) {
		refusedEnv(t, 20*time.Second, programEnv(), "", args(mountPoint(t)), "password")
	})
	t.Run("not asked without a terminal", func(t *testing.T) {
		point := mountPoint(t)
		var without []string
		for _, a := range args(point) {
			if a != "password_stdin" {
				without = append(without, a)
			} else {
				without = append(without, "reconnect")
			}
		}
		refusedEnv(t, 20*time.Second, programEnv(), password+"\n", without, "password|terminal")
	})
}
