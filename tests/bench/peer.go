package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// peer is a program that is measured.
type peer struct {
	name string
	// mount is the command line that mounts the server's directory; nil for programs that only transfer.
	mount func(m *measure, background bool) []string
	// drains: what a program wrote may be on its way long after it was closed, and is lost by unmounting.
	drains  bool
	program string // what must be installed
}

const (
	nameMount = "sshmount"
	nameAsync = "sshmount async"
	nameSSHFS = "sshfs"
	nameClone = "rclone"
	nameSSH   = "ssh"
	nameSFTP  = "sftp"
)

// allPeers in the order in which reports show them.
func allPeers(binary string) []*peer {
	ours := func(extra ...string) func(*measure, bool) []string {
		return func(m *measure, background bool) []string {
			args := append([]string{binary, m.remote(), m.mnt}, m.sshArgs("-p")...)
			args = append(args, extra...)
			if !background {
				args = append(args, "-f")
			}
			return append(args, m.rig.extra...)
		}
	}
	return []*peer{
		{name: nameMount, program: binary, mount: ours()},
		{name: nameAsync, program: binary, mount: ours("-o", "async")},
		{name: nameSSHFS, program: "sshfs", mount: func(m *measure, background bool) []string {
			args := append([]string{"sshfs", m.remote(), m.mnt}, m.sshArgs("-p")...)
			if !background {
				args = append(args, "-f")
			}
			return args
		}},
		{name: nameClone, program: "rclone", drains: true, mount: func(m *measure, background bool) []string {
			s := m.rig.server
			args := []string{"rclone", "mount", ":sftp:" + m.rig.data.server, m.mnt,
				"--config", "/dev/null", "--cache-dir", filepath.Join(m.scratch, "rclone"),
				"--vfs-cache-mode", "full", "--vfs-write-back", "100ms",
				"--sftp-host", "127.0.0.1", "--sftp-port", fmt.Sprint(m.profile.port), "--sftp-user", s.User,
				"--sftp-key-file", s.Key, "--sftp-known-hosts-file", s.KnownHostsFile()}
			if background {
				args = append(args, "--daemon")
			}
			return args
		}},
		{name: nameSSH, program: "ssh"},
		{name: nameSFTP, program: "sftp"},
	}
}

// installed tells whether a peer can be measured here.
func (p *peer) installed() bool {
	_, err := exec.LookPath(p.program)
	return err == nil
}

func (m *measure) remote() string {
	return m.rig.server.User + "@127.0.0.1:" + m.rig.data.server
}

// sshArgs choose the server; the option for the port is -p for ssh and sshfs, -P for sftp.
func (m *measure) sshArgs(port string) []string {
	return []string{"-F", m.rig.sshConfig, port, fmt.Sprint(m.profile.port)}
}

// ssh is a command that runs a shell command on the server.
func (m *measure) ssh(command string) *exec.Cmd {
	args := append(m.sshArgs("-p"), m.rig.server.User+"@127.0.0.1", command)
	return m.command("ssh", args...)
}

// sftp is a command that runs sftp's own commands.
func (m *measure) sftp(commands ...string) *exec.Cmd {
	args := append([]string{"-q", "-b", "-"}, m.sshArgs("-P")...)
	cmd := m.command("sftp", append(args, m.rig.server.User+"@127.0.0.1")...)
	cmd.Stdin = strings.NewReader(strings.Join(commands, "\n") + "\n")
	return cmd
}
