package cmdline

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// lineOptions say how the server is reached.
var lineOptions = []Option{
	{Name: "reconnect", Help: "come back after a lost connection (the default)", Group: GroupLine,
		set: unflag(func(s *Settings) *bool { return &s.Conn.NoReconnect })},
	{Name: "no_reconnect", Help: "a lost connection is the end: every request fails from then on", Group: GroupLine,
		set: flag(func(s *Settings) *bool { return &s.Conn.NoReconnect })},
	{Name: "reconnect_timeout", Value: "SECONDS", Group: GroupLine,
		Help: "how long programs wait for a lost line before they see an error; 0 for ever (default 120)",
		set: func(s *Settings, v string) error {
			d, err := parseSeconds(v)
			if d == 0 {
				d = -1 // the connection's word for ever; its zero is the default
			}
			s.Conn.ReconnectTimeout = d
			return err
		}},
	{Name: "delay_connect", Help: "the login always comes first, so that a mount that is made works", Group: GroupIgnored,
		set: func(s *Settings, _ string) error {
			s.warn("delay_connect: the login comes before the mount all the same; to mount at the first access use x-systemd.automount in /etc/fstab")
			return nil
		}},
	{Name: "max_conns", Value: "N", Group: GroupLine,
		Help: "whole connections for bulk data, 1 to 16 (default 1: one connection with several channels)",
		set:  number(1, 16, func(s *Settings) *int { return &s.Conn.MaxConns })},
	{Name: "max_channels", Value: "N", Group: GroupLine,
		Help: "channels for bulk data of each connection (default 9; 4 where the connection is shared)",
		set:  number(1, 64, func(s *Settings) *int { return &s.Conn.MaxChannels })},
	{Name: "compression", Value: "BOOL", Optional: true, Group: GroupLine, Help: "compress (the same as -C)",
		set: boolean(func(s *Settings) *bool { return &s.Dial.Compression })},
	{Name: "password_stdin", Group: GroupLine, Help: "the password is one line on standard input",
		set: flag(func(s *Settings) *bool { return &s.PasswordFromStdin })},
	{Name: "ssh_command", Value: "CMD", Group: GroupLine,
		Help: "run this command in place of ssh (the built-in client is used where it is left out)",
		set:  text(func(s *Settings) *string { return &s.Dial.SSHCommand })},
	{Name: "sftp_server", Value: "SERV", Group: GroupLine,
		Help: "path of the SFTP server on the other side, or name of the subsystem (default sftp)",
		set:  text(func(s *Settings) *string { return &s.Dial.SFTPServer })},
	{Name: "directport", Value: "PORT", Group: GroupLine, Help: "SFTP on a plain TCP port of the host, without SSH",
		set: func(s *Settings, v string) error {
			port, err := parsePort(v)
			s.Dial.DirectPort = port
			return err
		}},
	{Name: "vsock", Value: "CID:PORT", Group: GroupLine, Help: "SFTP on a vsock, without SSH",
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
	{Name: "passive", Help: "SFTP on standard input and output; stays in the foreground", Group: GroupLine,
		set: flag(func(s *Settings) *bool { return &s.Passive })},
	{Name: "slave", Group: GroupLine,
		set: flag(func(s *Settings) *bool { return &s.Passive })},
	{Name: "ssh_protocol", Value: "N", Group: GroupIgnored, Help: "version of the SSH protocol; it is always 2",
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

// cacheOptions say what is kept here, for how long, and what is owed to the server.
var cacheOptions = []Option{
	{Name: "dir_cache", Value: "BOOL", Choices: []string{"yes", "no"}, Group: GroupCache,
		Help: "no: every question about a name goes to the server (default yes)",
		set:  notBoolean(func(s *Settings) *bool { return &s.Cache.NoDirCache })},
	{Name: "cache", Value: "BOOL", Choices: []string{"yes", "no"}, Group: GroupCache,
		set: notBoolean(func(s *Settings) *bool { return &s.Cache.NoDirCache })},
	{Name: "dcache_timeout", Value: "SECONDS", Group: GroupCache,
		Help: "how long attributes, listings and absent names are trusted between opens (default 20)",
		set:  secondsOrUnset(statTrust, dirTrust, linkTrust)},
	{Name: "dcache_stat_timeout", Value: "SECONDS", Group: GroupCache, Help: "the same for attributes; the smallest of the three counts for all",
		set: secondsOrUnset(statTrust)},
	{Name: "dcache_dir_timeout", Value: "SECONDS", Group: GroupCache, Help: "the same for listings",
		set: secondsOrUnset(dirTrust)},
	{Name: "dcache_link_timeout", Value: "SECONDS", Group: GroupCache, Help: "the same for the targets of links",
		set: secondsOrUnset(linkTrust)},
	{Name: "dcache_max_size", Value: "N", Group: GroupCache,
		Help: "names kept beyond those that the kernel holds (default 10000)",
		set:  number(1, math.MaxInt32, func(s *Settings) *int { return &s.Cache.MaxNames })},
	{Name: "cache_timeout", Value: "SECONDS", Group: GroupCache, set: secondsOrUnset(statTrust, dirTrust, linkTrust)},
	{Name: "cache_stat_timeout", Value: "SECONDS", Group: GroupCache, set: secondsOrUnset(statTrust)},
	{Name: "cache_dir_timeout", Value: "SECONDS", Group: GroupCache, set: secondsOrUnset(dirTrust)},
	{Name: "cache_link_timeout", Value: "SECONDS", Group: GroupCache, set: secondsOrUnset(linkTrust)},
	{Name: "cache_max_size", Value: "N", Group: GroupCache,
		set: number(1, math.MaxInt32, func(s *Settings) *int { return &s.Cache.MaxNames })},
	{Name: "async", Group: GroupCache,
		Help: "answer changes of names at once and send them behind; see 'sshmount sync'",
		set: func(s *Settings, _ string) error {
			// For mount(8) and for sshfs 'async' is the kernel's word for 'not sync', which
			// 'defaults' includes; it must not weaken what a close or a mkdir promises.
			if s.form.helper || s.form.viaMountFuse || s.form.sshfs {
				s.warn("'async' means the kernel's own here, which is always so; write sshmount_async for changes that are answered at once")
				return nil
			}
			s.Cache.Async = true
			return nil
		}},
	{Name: "sshmount_async", Group: GroupCache, Help: "async under a name that can be written in /etc/fstab",
		set: flag(func(s *Settings) *bool { return &s.Cache.Async })},
	{Name: "sshfs_sync", Group: GroupCache, Help: "every write waits for the server",
		set: flag(func(s *Settings) *bool { return &s.Cache.SyncWrites })},
	{Name: "no_readahead", Group: GroupCache, Help: "read what was asked for and no more",
		set: flag(func(s *Settings) *bool { return &s.Cache.SyncReads })},
	{Name: "sync_read", Group: GroupCache,
		set: flag(func(s *Settings) *bool { return &s.Cache.SyncReads })},
	{Name: "prefetch", Value: "BOOL", Optional: true, Choices: []string{"yes", "no"}, Group: GroupCache,
		Help: "no: fetch no directory and no small file ahead of its use (default yes)",
		set:  notBoolean(func(s *Settings) *bool { return &s.Cache.NoPrefetch })},
	{Name: "read_budget", Value: "SIZE", Group: GroupCache, Help: "memory for reading ahead, all files together (default 64M)",
		set: atLeast(1<<20, func(s *Settings) *int64 { return &s.Cache.ReadBudget })},
	{Name: "write_budget", Value: "SIZE", Group: GroupCache, Help: "memory for what is written and not yet saved (default 64M)",
		set: atLeast(1<<20, func(s *Settings) *int64 { return &s.Cache.WriteBudget })},
	{Name: "prefetch_budget", Value: "SIZE", Group: GroupCache, Help: "memory for small files fetched ahead (default 32M)",
		set: atLeast(1<<20, func(s *Settings) *int64 { return &s.Cache.PrefetchBudget })},
	{Name: "rescue_dir", Value: "DIR", Group: GroupCache,
		Help: "where bytes go that can't be delivered (default ~/.local/state/sshmount/rescue)",
		set:  file(func(s *Settings) *string { return &s.Cache.RescueDir })},
	{Name: "drain_timeout", Value: "SECONDS", Group: GroupCache,
		Help: "how long the end of the mount waits for unsaved data (default 120)",
		set:  seconds(func(s *Settings) *time.Duration { return &s.DrainTimeout })},
	{Name: "log_file", Value: "FILE", Group: GroupCache,
		Help: "log of the background process (default below ~/.local/state/sshmount/log)",
		set:  file(func(s *Settings) *string { return &s.LogFile })},
}

func statTrust(s *Settings) **time.Duration { return &s.attrTrust.stat }
func dirTrust(s *Settings) **time.Duration  { return &s.attrTrust.dir }
func linkTrust(s *Settings) **time.Duration { return &s.attrTrust.link }

func atLeast(least int64, field func(*Settings) *int64) func(*Settings, string) error {
	return func(s *Settings, v string) error {
		if err := bytesOf(field)(s, v); err != nil {
			return err
		}
		if *field(s) < least {
			return fmt.Errorf("%q is too little; the least is %d bytes", v, least)
		}
		return nil
	}
}
