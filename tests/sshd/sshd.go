// Package sshd runs an OpenSSH server of one's own on the loopback, with keys made for
// the run, and breaks it on demand: for the bench and for the tests of broken lines.
package sshd

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"sshmount/tests/proc"
)

// Config of a server. The zero value of a field means its default.
type Config struct {
	Dir         string // keys, configuration and log go here; must exist
	Listen      string // IP address; default 127.0.0.1
	Port        int    // default: one that is free
	HostKey     string // file of the private key, with the public one beside it; default one made in Dir
	UserKey     string // the same of the key to log in with
	Subsystem   string // what serves SFTP, as in sshd_config; default the installed sftp-server; NoSFTP: nothing
	MaxSessions int    // of each connection; default 10, as sshd's own
	Extra       string // more lines of sshd_config, which count before those made here
}

// NoSFTP is the Subsystem of a server without SFTP.
const NoSFTP = "none"

// Server is an sshd. Its methods are for one goroutine at a time.
type Server struct {
	Listen     string
	Port       int
	kept       *os.File // keeps Port where it was chosen here; closed with the Server that nobody holds any more
	User       string   // who may log in: who runs this
	Key        string   // file with the private key to log in with
	knownHosts string
	dir        string
	hostKey    string // the public one, as in known_hosts
	config     string
	cmd        *exec.Cmd     // nil while it is stopped
	ended      chan struct{} // closed when cmd has ended
}

// SFTPServer is the program that serves the subsystem, the first that is installed.
func SFTPServer() (string, error) {
	for _, p := range []string{"/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/libexec/sftp-server", "/usr/lib/ssh/sftp-server"} {
		if _, err := os.Stat(p); err == nil {
			return p, nil
		}
	}
	return "", errors.New("no sftp-server is installed (Debian: openssh-sftp-server)")
}

// Start makes keys and a configuration, and runs the server until Stop.
func Start(cfg Config) (*Server, error) {
	s := &Server{
		Listen:     cmp.Or(cfg.Listen, "127.0.0.1"),
		Port:       cfg.Port,
		Key:        cmp.Or(cfg.UserKey, filepath.Join(cfg.Dir, "user_key")),
		knownHosts: filepath.Join(cfg.Dir, "known_hosts"),
		dir:        cfg.Dir,
		config:     filepath.Join(cfg.Dir, "sshd_config"),
	}
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	s.User = me.Username
	if cfg.Subsystem == "" {
		if cfg.Subsystem, err = SFTPServer(); err != nil {
			return nil, err
		}
	}
	hostKey := cmp.Or(cfg.HostKey, filepath.Join(cfg.Dir, "host_key"))
	for _, file := range []string{hostKey, s.Key} {
		if _, err := os.Stat(file); err == nil {
			continue
		}
		if err := MakeKey(file); err != nil {
			return nil, err
		}
	}
	public, err := os.ReadFile(hostKey + ".pub")
	if err != nil {
		return nil, err
	}
	s.hostKey = strings.TrimSpace(string(public))
	if s.Port == 0 {
		if s.Port, s.kept, err = KeepPort(s.Listen); err != nil {
			return nil, err
		}
	}
	if cfg.Subsystem != NoSFTP {
		cfg.Extra += "\nSubsystem sftp " + cfg.Subsystem
	}
	lines := []string{
		// The first value that sshd reads of an option is the one it takes.
		cfg.Extra,
		fmt.Sprintf("Port %d", s.Port),
		"ListenAddress " + s.Listen,
		"HostKey " + hostKey,
		"AuthorizedKeysFile " + s.Key + ".pub",
		fmt.Sprintf("MaxSessions %d", cmp.Or(cfg.MaxSessions, 10)),
		"MaxStartups 200",
		"StrictModes no", "UsePAM no", "UseDNS no", "PidFile none", "PrintMotd no",
		"PermitRootLogin yes", "PasswordAuthentication no", "KbdInteractiveAuthentication no",
		"LogLevel VERBOSE",
		// bash, as the login shell that starts sftp-server, reads ~/.bashrc below sshd unless
		// it is a shell within a shell. What the user keeps there may take seconds.
		"SetEnv SHLVL=1",
	}
	if err := os.WriteFile(s.config, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return nil, err
	}
	if os.Getuid() == 0 {
		// sshd confines itself to this empty directory, which a service's start would have made.
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			return nil, err
		}
	}
	if err := s.KnownHosts(net.JoinHostPort(s.Listen, fmt.Sprint(s.Port))); err != nil {
		return nil, err
	}
	return s, s.Restart()
}

// MakeKey makes a private key without a passphrase, and the public one in file.pub.
func MakeKey(file string) error {
	out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", file).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ssh-keygen: %w: %s", err, out)
	}
	return nil
}

// HostKey is the public host key as a known_hosts file has it.
func (s *Server) HostKey() string { return s.hostKey }

// KnownHosts adds addresses ("host:port") under which clients will meet this server.
func (s *Server) KnownHosts(addresses ...string) error {
	f, err := os.OpenFile(s.knownHosts, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644) // for clients of other users, too
	if err != nil {
		return err
	}
	defer f.Close()
	for _, a := range addresses {
		host, port, err := net.SplitHostPort(a)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(f, "[%s]:%s %s\n", host, port, s.hostKey); err != nil {
			return err
		}
	}
	return nil
}

// ClientConfig is an ssh_config with which clients log in here, and nothing of the user's own.
// ssh, sftp and sshfs take it with -F.
func (s *Server) ClientConfig() (file string, err error) {
	file = filepath.Join(s.dir, "ssh_config")
	text := "Host *\n" +
		"User " + s.User + "\nIdentityFile " + s.Key + "\nIdentitiesOnly yes\nIdentityAgent none\nBatchMode yes\n" +
		"UserKnownHostsFile " + s.knownHosts + "\nGlobalKnownHostsFile /dev/null\nStrictHostKeyChecking yes\n"
	return file, os.WriteFile(file, []byte(text), 0o600)
}

// KnownHostsFile is the file that KnownHosts writes.
func (s *Server) KnownHostsFile() string { return s.knownHosts }

// Restart runs the server (again) and returns when it accepts connections.
func (s *Server) Restart() error {
	if s.cmd != nil {
		return errors.New("sshd: still running")
	}
	path, err := exec.LookPath("sshd")
	if err != nil {
		path = "/usr/sbin/sshd"
	}
	log, err := os.OpenFile(filepath.Join(s.dir, "sshd.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(path, "-D", "-e", "-f", s.config)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("sshd: %w", err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	s.cmd, s.ended = cmd, ended
	deadline := time.Now().Add(20 * time.Second)
	for {
		c, err := net.Dial("tcp", net.JoinHostPort(s.Listen, fmt.Sprint(s.Port)))
		if err == nil {
			return c.Close()
		}
		select {
		case <-ended:
			s.cmd = nil
			text, _ := os.ReadFile(filepath.Join(s.dir, "sshd.log"))
			return fmt.Errorf("sshd ended at once: %s", tail(text))
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			s.Stop()
			return fmt.Errorf("sshd does not accept connections at port %d: %w", s.Port, err)
		}
	}
}

func tail(text []byte) string {
	return string(text[max(0, len(text)-2000):])
}

// Stop kills the server with all its sessions, as a power failure would.
func (s *Server) Stop() {
	if s.cmd == nil {
		return
	}
	// Held still first, so that it starts no session that is then missed.
	s.cmd.Process.Signal(syscall.SIGSTOP)
	sessions := s.Sessions()
	s.cmd.Process.Kill()
	<-s.ended
	s.cmd = nil
	kill(sessions)
}

// KillSessions kills the processes of all sessions but not the server, and says how many: their connections are reset, and new ones taken.
func (s *Server) KillSessions() int { return kill(s.Sessions()) }

// KillSFTP kills the sftp-servers alone; their connections stay.
func (s *Server) KillSFTP() int { return kill(s.SFTPServers()) }

// SFTPServers are the sftp-servers of all sessions.
func (s *Server) SFTPServers() []int {
	return slices.DeleteFunc(s.Sessions(), func(pid int) bool { return proc.Name(pid) != "sftp-server" })
}

// Sessions are the processes that serve clients; none while the server is stopped.
func (s *Server) Sessions() []int {
	if s.cmd == nil {
		return nil
	}
	return proc.Descendants(s.cmd.Process.Pid)
}

func kill(pids []int) (killed int) {
	for _, pid := range pids {
		if syscall.Kill(pid, syscall.SIGKILL) == nil {
			killed++
		}
	}
	return killed
}
