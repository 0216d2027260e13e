package cmdline

import (
	"fmt"
	"math"
	"strings"
)

// maxConns is the most whole connections for bulk data. Each has several channels of its own.
const maxConns = 16

// lineOptions say how the server is reached.
var lineOptions = []option{
	{Name: "reconnect", Help: "come back after a lost connection (the default)", Group: groupLine,
		set: unflag(func(s *Settings) *bool { return &s.Conn.NoReconnect })},
	{Name: "no_reconnect", Help: "a lost connection is the end: every request fails from then on", Group: groupLine,
		set: flag(func(s *Settings) *bool { return &s.Conn.NoReconnect })},
	{Name: "reconnect_timeout", Value: "SECONDS", Group: groupLine,
		Help: "how long programs wait for a lost line before they see an error; 0 for ever (default 120)",
		set: func(s *Settings, v string) error {
			d, err := ParseSeconds(v)
			if d == 0 {
				d = -1 // the connection's word for ever; its zero is the default
			}
			s.Conn.ReconnectTimeout = d
			return err
		}},
	{Name: "delay_connect", Help: "the login always comes first, so that a mount that is made works", Group: groupIgnored,
		set: func(s *Settings, _ string) error {
			s.warn("delay_connect: the login comes before the mount all the same; to mount at the first access use x-systemd.automount in /etc/fstab")
			return nil
		}},
	{Name: "max_conns", Value: "N", Group: groupLine,
		Help: "whole connections for bulk data, 1 to 16 (default 1: one connection with several channels)",
		set: func(s *Settings, v string) error {
			err := number(1, math.MaxInt32, func(s *Settings) *int { return &s.Conn.MaxConns })(s, v)
			if s.Conn.MaxConns > maxConns { // sshfs takes any number
				s.Conn.MaxConns = maxConns
				s.warn(fmt.Sprintf("max_conns=%s: %d connections are made, more bring nothing", v, maxConns))
			}
			return err
		}},
	{Name: "max_channels", Value: "N", Group: groupLine,
		Help: "channels for bulk data of each connection (default 9; 4 where the connection is shared)",
		set:  number(1, 64, func(s *Settings) *int { return &s.Conn.MaxChannels })},
	{Name: "compression", Value: "BOOL", Optional: true, Group: groupLine, Help: "compress (the same as -C)",
		set: boolean(func(s *Settings) *bool { return &s.Dial.Compression })},
	{Name: "password_stdin", Group: groupLine, Help: "the password is one line on standard input",
		set: flag(func(s *Settings) *bool { return &s.PasswordFromStdin })},
	{Name: "ssh_command", Value: "CMD", Group: groupLine,
		Help: "run this command in place of ssh (the built-in client is used where it is left out)",
		set:  text(func(s *Settings) *string { return &s.Dial.SSHCommand })},
	{Name: "sftp_server", Value: "SERV", Group: groupLine,
		Help: "path of the SFTP server on the other side, or name of the subsystem (default sftp)",
		set:  text(func(s *Settings) *string { return &s.Dial.SFTPServer })},
	{Name: "directport", Value: "PORT", Group: groupLine, Help: "SFTP on a plain TCP port of the host, without SSH",
		set: func(s *Settings, v string) error {
			port, err := parsePort(v)
			s.Dial.DirectPort = port
			return err
		}},
	{Name: "vsock", Value: "CID:PORT", Group: groupLine, Help: "SFTP on a vsock, without SSH",
		set: func(s *Settings, v string) error {
			cid, port, ok := strings.Cut(v, ":")
			for _, n := range []string{cid, port} {
				var ignore int
				if err := number(0, math.MaxInt32, func(*Settings) *int { return &ignore })(s, n); err != nil || !ok {
					return fmt.Errorf("%q is not CID:PORT, two numbers", v)
				}
			}
			s.Dial.VSock = v
			return nil
		}},
	{Name: "passive", Help: "SFTP on standard input and output; stays in the foreground", Group: groupLine,
		set: flag(func(s *Settings) *bool { return &s.Passive })},
	{Name: "slave", Group: groupLine,
		set: flag(func(s *Settings) *bool { return &s.Passive })},
	{Name: "ssh_protocol", Value: "N", Group: groupIgnored, Help: "version of the SSH protocol; it is always 2",
		set: func(s *Settings, v string) error {
			switch v {
			case "1":
				s.warn("version 1 of the SSH protocol is extinct; version 2 is used")
			case "2":
			default:
				return fmt.Errorf("%q is neither 1 nor 2", v)
			}
			return nil
		}},
}
