package cmdline

import (
	"fmt"
	"math"
	"os/user"
	"slices"
	"time"
)

// kernelOptions are those of FUSE and of mount(8) that have an effect.
var kernelOptions = []option{
	{Name: "allow_other", Group: groupKernel, Help: "other users may use the mount; permissions are then checked here",
		set: flag(func(s *Settings) *bool { return &s.Mount.AllowOther })},
	{Name: "allow_root", Group: groupKernel, Help: "root may use the mount too",
		set: flag(func(s *Settings) *bool { return &s.Mount.AllowRoot })},
	{Name: "default_permissions", Group: groupKernel, Help: "the kernel checks permissions before the server does",
		set: func(s *Settings, _ string) error {
			s.Mount.DefaultPermissions, s.noDefaultPerms = true, false
			return nil
		}},
	{Name: "no_default_permissions", Group: groupKernel, Help: "leave permissions to the server, also with allow_other",
		set: func(s *Settings, _ string) error {
			s.Mount.DefaultPermissions, s.noDefaultPerms = false, true
			return nil
		}},
	{Name: "ro", Group: groupKernel, Help: "read only",
		set: flag(func(s *Settings) *bool { return &s.Mount.ReadOnly })},
	{Name: "rw", Group: groupKernel, Help: "read and write (the default)",
		set: unflag(func(s *Settings) *bool { return &s.Mount.ReadOnly })},
	{Name: "suid", Group: groupKernel, Help: "setuid and setgid bits of remote files count here",
		set: func(s *Settings, _ string) error { s.Mount.Suid, s.suidGiven = true, true; return nil }},
	{Name: "nosuid", Group: groupKernel, Help: "they don't (the default)",
		set: unflag(func(s *Settings) *bool { return &s.Mount.Suid })},
	{Name: "dev", Group: groupKernel, Help: "device nodes of the server count here",
		set: func(s *Settings, _ string) error { s.Mount.Dev, s.devGiven = true, true; return nil }},
	{Name: "nodev", Group: groupKernel, Help: "they don't (the default)",
		set: unflag(func(s *Settings) *bool { return &s.Mount.Dev })},
	{Name: "exec", Group: groupKernel, Help: "programs may be run (the default)",
		set: unflag(func(s *Settings) *bool { return &s.Mount.NoExec })},
	{Name: "noexec", Group: groupKernel, Help: "programs may not be run",
		set: flag(func(s *Settings) *bool { return &s.Mount.NoExec })},
	{Name: "symfollow", Group: groupKernel, Help: "symbolic links are followed (the default)",
		set: unflag(func(s *Settings) *bool { return &s.Mount.NoSymfollow })},
	{Name: "nosymfollow", Group: groupKernel, Help: "links are shown, and no program is led on by one (Linux 5.10; except for root with a fusermount3 that knows it)",
		set: flag(func(s *Settings) *bool { return &s.Mount.NoSymfollow })},
	{Name: "atime", Group: groupKernel,
		set: unflag(func(s *Settings) *bool { return &s.Mount.NoAtime })},
	{Name: "noatime", Group: groupKernel, Help: "mount with noatime",
		set: flag(func(s *Settings) *bool { return &s.Mount.NoAtime })},
	{Name: "sync", Group: groupKernel, Help: "mount with sync: every write waits for the server",
		set: func(s *Settings, _ string) error { s.Mount.Sync, s.Cache.SyncWrites = true, true; return nil }},
	{Name: "dirsync", Group: groupKernel, Help: "mount with dirsync",
		set: flag(func(s *Settings) *bool { return &s.Mount.DirSync })},
	{Name: "fsname", Value: "NAME", Group: groupKernel, Help: "source shown by mount(8) (default: the first operand)",
		set: text(func(s *Settings) *string { return &s.Mount.FsName })},
	{Name: "subtype", Value: "TYPE", Group: groupKernel, Help: "type shown by mount(8), behind 'fuse.' (default sshmount, or sshfs when called so)",
		set: text(func(s *Settings) *string { return &s.Mount.Subtype })},
	{Name: "max_read", Value: "N", Group: groupKernel, Help: "most bytes that the kernel asks for at once",
		set: number(0, math.MaxInt32, func(s *Settings) *int { return &s.Mount.MaxRead })},
	{Name: "max_readahead", Value: "N", Group: groupKernel, Help: "most bytes that the kernel reads ahead (it takes no more than 128 KiB)",
		set: func(s *Settings, v string) error {
			err := number(0, math.MaxInt32, func(s *Settings) *int { return &s.Mount.MaxReadAhead })(s, v)
			if err == nil && s.Mount.MaxReadAhead == 0 {
				s.Mount.MaxReadAhead = 1 // less than a page is none; 0 is the kernel's own
			}
			return err
		}},
	{Name: "attr_timeout", Value: "SECONDS", Group: groupKernel, Help: "longest time that the kernel trusts attributes",
		set: secondsOrUnset(func(s *Settings) **time.Duration { return &s.Mount.AttrTimeout })},
	{Name: "entry_timeout", Value: "SECONDS", Group: groupKernel, Help: "longest time that the kernel trusts names",
		set: secondsOrUnset(func(s *Settings) **time.Duration { return &s.Mount.EntryTimeout })},
	{Name: "negative_timeout", Value: "SECONDS", Group: groupKernel, Help: "longest time that the kernel trusts absent names",
		set: secondsOrUnset(func(s *Settings) **time.Duration { return &s.Mount.NegativeTimeout })},
	{Name: "kernel_cache", Group: groupKernel, Help: "keep a file's pages at every open, whatever changed on the server",
		set: flag(func(s *Settings) *bool { return &s.Mount.KernelCache })},
	{Name: "auto_cache", Group: groupKernel, Help: "keep them where size and time are unchanged (the default)",
		set: unflag(func(s *Settings) *bool { return &s.Mount.KernelCache })},
	{Name: "noauto_cache", Group: groupKernel,
		set: ignored},
	{Name: "direct_io", Group: groupKernel, Help: "no page cache at all",
		set: func(s *Settings, _ string) error { s.Mount.DirectIO, s.Cache.DirectIO = true, true; return nil }},
	{Name: "nonempty", Group: groupKernel, Help: "mount over a directory that is not empty",
		set: flag(func(s *Settings) *bool { return &s.NonEmpty })},
	{Name: "auto_unmount", Group: groupKernel, Help: "a helper takes the mount away when the process is killed",
		set: flag(func(s *Settings) *bool { return &s.Mount.AutoUnmount })},
	{Name: "readdirplus", Value: "HOW", Choices: []string{"yes", "no", "auto"}, Group: groupKernel,
		Help: "no: listings are given to the kernel without attributes",
		set:  func(s *Settings, v string) error { s.Mount.NoReaddirplus = v == "no"; return nil }},
	{Name: "sshfs_debug", Group: groupKernel, Help: "log everything, in the foreground (the same as -d)",
		set: flag(func(s *Settings) *bool { return &s.Debug })},
	{Name: "debug", Group: groupKernel,
		set: flag(func(s *Settings) *bool { return &s.Debug })},
	{Name: "context", Value: "LABEL", Group: groupKernel, Help: "SELinux label; also fscontext, defcontext and rootcontext",
		set: kernelOption("context")},
	{Name: "fscontext", Value: "LABEL", Group: groupKernel, set: kernelOption("fscontext")},
	{Name: "defcontext", Value: "LABEL", Group: groupKernel, set: kernelOption("defcontext")},
	{Name: "rootcontext", Value: "LABEL", Group: groupKernel, set: kernelOption("rootcontext")},

	{Name: "writeback_cache", Value: "BOOL", Optional: true, Choices: []string{"yes", "no"}, Group: groupKernel,
		set: func(_ *Settings, v string) error {
			if v != "no" {
				return fmt.Errorf("the kernel's write-back cache would hide changes made on the server; writes are gathered here without it")
			}
			return nil
		}},
	{Name: "modules", Value: "M1[:M2...]", Group: groupKernel,
		set: refused("modules of libfuse can't be loaded; for a directory below, name it after the colon")},
	{Name: "remount", Group: groupKernel,
		set: refused("a mount can't be changed while it is there: unmount it, and mount it anew with the options that you want")},
	{Name: "setuid", Value: "USER", Group: groupKernel,
		set: refused("this is done by mount.fuse3: take mount.fuse.sshmount away and let mount(8) call that, or run 'sshmount' as the user")},
}

// ignoredOptions are accepted, so that old command lines and /etc/fstab go on working, and do nothing.
var ignoredOptions = slices.Concat(
	ignoredFlags("defaults", "auto", "noauto", "nouser", "users", "nousers", "owner", "noowner", "group", "nogroup",
		"_netdev", "_rnetdev", "nofail", "diratime", "nodiratime", "relatime", "norelatime", "strictatime", "nostrictatime",
		"lazytime", "nolazytime", "iversion", "noiversion", "mand", "nomand", "silent", "loud",
		"verbose", "sshfs_verbose", "unreliable_append", "sync_readdir", "intr", "nointr", "use_ino", "readdir_ino", "hard_remove", "noforget",
		"big_writes", "no_big_writes", "atomic_o_trunc", "no_atomic_o_trunc", "async_read", "async_dio", "no_async_dio",
		"no_remote_lock", "no_remote_posix_lock", "no_remote_flock", "clone_fd", "auto_inval_data", "no_auto_inval_data",
		"no_writeback_cache", "no_rofd_flush", "splice_read", "no_splice_read", "splice_write", "no_splice_write", "splice_move", "no_splice_move"),
	ignoredNumbers("dcache_clean_interval", "dcache_min_clean_interval", "cache_clean_interval", "cache_min_clean_interval",
		"max_write", "intr_signal", "max_background",
		"congestion_threshold", "max_threads", "max_idle_threads"),
	[]option{
		{Name: "ac_attr_timeout", Value: "SECONDS", Group: groupIgnored, set: secondsIgnored},
		{Name: "remember", Value: "SECONDS", Group: groupIgnored, set: func(s *Settings, v string) error {
			if v == "-1" { // libfuse's word for ever
				return nil
			}
			return secondsIgnored(s, v)
		}},
		{Name: "user", Mounts: true, Group: groupIgnored, set: mountingUser},
		{Name: "comment", Value: "TEXT", Group: groupIgnored, set: ignored, Help: "a remark in /etc/fstab; so are all that begin with x- or X-"},
	},
)

// mountingUser is the word of /etc/fstab that lets ordinary users mount. util-linux before 2.39 writes behind it who does, which
// mount.fuse3 takes for something of ours. Any other name was meant for a login.
func mountingUser(s *Settings, name string) error {
	if me, err := user.Current(); name != "" && err == nil && name != me.Username {
		s.warn(fmt.Sprintf("user=%s is mount(8)'s word for who mounts, and not the login's; for that write %s@ before the host", name, name))
	}
	return nil
}

func ignoredFlags(names ...string) []option {
	var options []option
	for _, n := range names {
		options = append(options, option{Name: n, Group: groupIgnored, set: ignored})
	}
	return options
}

func ignoredNumbers(names ...string) []option {
	var options []option
	for _, n := range names {
		options = append(options, option{Name: n, Value: "N", Group: groupIgnored, set: numberIgnored})
	}
	return options
}
