package tests

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"sshmount/tests/line"
)

// freeze stops the SFTP servers and leaves sshd to answer keepalives, as a server does whose disk hangs. They go on at the test's end.
func (s *server) freeze() {
	s.t.Helper()
	servers := s.sshd.SFTPServers()
	for _, pid := range servers {
		must(s.t, syscall.Kill(pid, syscall.SIGSTOP))
		s.t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
	}
	if len(servers) == 0 {
		s.t.Fatal("there is no SFTP server to stop")
	}
}

// A server that takes no more leaves a request half sent, and its bytes in the hands of the writer: only the end of the
// connection frees them. A long line has more under way than the window of one channel holds.
func TestUnmountWhereTheServersDiskHangs(t *testing.T) {
	t.Parallel()
	onlySshmount(t)
	for name, hurried := range map[string]bool{"drained": false, "hurried": true} {
		t.Run(name, func(t *testing.T) {
			s := newServerWith(t, serverOptions{maxSessions: 1})
			state := testDir(t, "state")
			patience := 2
			if hurried {
				patience = 600
			}
			_, config := s.over(t, line.Config{Delay: 40 * time.Millisecond})
			m := mountArgs(t, []string{"-F", config, s.remote(), mountPoint(t), "-o", fmt.Sprintf("sshmount_async,drain_timeout=%d", patience)}, func(cmd *exec.Cmd) {
				cmd.Env = append(cmd.Env, "XDG_STATE_HOME="+state)
			})
			f, err := os.Create(m.path("bulk"))
			must(t, err)
			content := pseudoRandom(1, 48<<20)
			const before = 40 << 20
			_, err = f.Write(content[:before])
			must(t, err)
			must(t, f.Sync())
			s.freeze()
			must(t, within(t, 20*time.Second, "write and close", func() error {
				if _, err := f.Write(content[before:]); err != nil {
					return err
				}
				return f.Close()
			}))
			must(t, m.cmd.Process.Signal(syscall.SIGTERM))
			if hurried {
				eventually(t, 20*time.Second, "the mount is being ended", func() (bool, string) {
					return strings.Contains(m.logText(), "ending the mount"), m.logText()
				})
				time.Sleep(500 * time.Millisecond) // one that comes within 0.3 s of the first does not count
				must(t, m.cmd.Process.Signal(syscall.SIGTERM))
			}
			m.waitEnd(15)
			saved := 0
			for _, b := range rescued(t, state, "bulk") {
				saved += coverage(content, b, nil)
			}
			if saved != len(content)-before {
				t.Errorf("%d of %d bytes are in rescue files", saved, len(content)-before)
			}
		})
	}
}
