package cmdline

import (
	"fmt"
	"math"
	"time"
)

// cacheOptions say what is kept here, for how long, and what is owed to the server.
var cacheOptions = []option{
	{Name: "dir_cache", Value: "BOOL", Choices: []string{"yes", "no"}, Group: groupCache,
		Help: "no: every question about a name goes to the server (default yes)",
		set:  notBoolean(func(s *Settings) *bool { return &s.Cache.NoDirCache })},
	{Name: "cache", Value: "BOOL", Choices: []string{"yes", "no"}, Group: groupCache,
		set: notBoolean(func(s *Settings) *bool { return &s.Cache.NoDirCache })},
	{Name: "dcache_timeout", Value: "SECONDS", Group: groupCache,
		Help: "how long attributes, listings and absent names are trusted between opens (default 20)",
		set:  secondsOrUnset(statTrust, dirTrust, linkTrust)},
	{Name: "dcache_stat_timeout", Value: "SECONDS", Group: groupCache, Help: "the same for attributes; the smallest of the three counts for all",
		set: secondsOrUnset(statTrust)},
	{Name: "dcache_dir_timeout", Value: "SECONDS", Group: groupCache, Help: "the same for listings",
		set: secondsOrUnset(dirTrust)},
	{Name: "dcache_link_timeout", Value: "SECONDS", Group: groupCache, Help: "the same for the targets of links",
		set: secondsOrUnset(linkTrust)},
	{Name: "dcache_max_size", Value: "N", Group: groupCache,
		Help: "names kept beyond those that the kernel holds (default 10000)",
		set: func(s *Settings, v string) error {
			err := number(0, math.MaxInt32, func(s *Settings) *int { return &s.Cache.MaxNames })(s, v)
			s.Cache.MaxNames = max(s.Cache.MaxNames, 1) // the cache's zero is the default
			return err
		}},
	{Name: "cache_timeout", Value: "SECONDS", Group: groupCache, set: secondsOrUnset(statTrust, dirTrust, linkTrust)},
	{Name: "cache_stat_timeout", Value: "SECONDS", Group: groupCache, set: secondsOrUnset(statTrust)},
	{Name: "cache_dir_timeout", Value: "SECONDS", Group: groupCache, set: secondsOrUnset(dirTrust)},
	{Name: "cache_link_timeout", Value: "SECONDS", Group: groupCache, set: secondsOrUnset(linkTrust)},
	{Name: "cache_max_size", Value: "N", Group: groupCache,
		set: number(1, math.MaxInt32, func(s *Settings) *int { return &s.Cache.MaxNames })},
	{Name: "async", Group: groupCache,
		Help: "answer changes of names at once and send them behind; see 'sshmount sync'",
		set: func(s *Settings, _ string) error {
			// For mount(8) and for sshfs 'async' is the kernel's word for 'not sync', which
			// 'defaults' includes; it must not weaken what a close or a mkdir promises.
			if s.form.behindMount() || s.form.sshfs {
				s.warn("'async' means the kernel's own here, which is always so; write sshmount_async for changes that are answered at once")
				return nil
			}
			s.Cache.Async = true
			return nil
		}},
	{Name: "sshmount_async", Group: groupCache, Help: "async under a name that can be written in /etc/fstab",
		set: flag(func(s *Settings) *bool { return &s.Cache.Async })},
	{Name: "sshfs_sync", Group: groupCache, Help: "every write waits for the server",
		set: flag(func(s *Settings) *bool { return &s.Cache.SyncWrites })},
	{Name: "no_readahead", Group: groupCache, Help: "read what was asked for and no more",
		set: flag(func(s *Settings) *bool { return &s.Cache.SyncReads })},
	{Name: "sync_read", Group: groupCache,
		set: flag(func(s *Settings) *bool { return &s.Cache.SyncReads })},
	{Name: "prefetch", Value: "BOOL", Optional: true, Choices: []string{"yes", "no"}, Group: groupCache,
		Help: "no: fetch no directory and no small file ahead of its use (default yes)",
		set:  notBoolean(func(s *Settings) *bool { return &s.Cache.NoPrefetch })},
	{Name: "read_budget", Value: "SIZE", Group: groupCache, Help: "memory for reading ahead, all files together (default 64M)",
		set: atLeast(1<<20, func(s *Settings) *int64 { return &s.Cache.ReadBudget })},
	{Name: "write_budget", Value: "SIZE", Group: groupCache, Help: "memory for what is written and not yet saved (default 64M)",
		set: atLeast(1<<20, func(s *Settings) *int64 { return &s.Cache.WriteBudget })},
	{Name: "prefetch_budget", Value: "SIZE", Group: groupCache, Help: "memory for small files fetched ahead (default 32M)",
		set: atLeast(1<<20, func(s *Settings) *int64 { return &s.Cache.PrefetchBudget })},
	{Name: "rescue_dir", Value: "DIR", Group: groupCache,
		Help: "where bytes go that can't be delivered (default ~/.local/state/sshmount/rescue)",
		set:  file(func(s *Settings) *string { return &s.Cache.RescueDir })},
	{Name: "drain_timeout", Value: "SECONDS", Group: groupCache,
		Help: "how long the end of the mount waits for unsaved data (default 120)",
		set: func(s *Settings, v string) error {
			d, err := ParseSeconds(v)
			s.DrainTimeout = max(d, 1) // zero is the default: not to wait is the shortest time there is
			return err
		}},
	{Name: "log_file", Value: "FILE", Group: groupCache,
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
