package cmdline

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// parse is Parse of a full command line under the program's own name.
func parse(t *testing.T, args ...string) *Settings {
	t.Helper()
	s, err := Parse("sshmount", append([]string{"me@host:/dir", "/mnt"}, args...), false)
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	return s
}

// sshfsOptions is every option that SSHFS 3.7.3 (Debian's) and 3.7.6 know, with a value where it takes one.
const sshfsOptions = `directport=22 ssh_command=ssh sftp_server=/usr/lib/sftp-server max_read=65536 max_write=65536 ssh_protocol=2
	workaround=rename:nobuflimit workaround=none idmap=none idmap=user uidfile=/u gidfile=/g nomap=ignore nomap=error sshfs_sync no_readahead
	sync_readdir sshfs_debug reconnect transform_symlinks contain_symlinks no_contain_symlinks follow_symlinks no_check_root
	password_stdin delay_connect slave passive disable_hardlink dir_cache=yes dir_cache=no direct_io max_conns=4 vsock=2:22
	verbose sshfs_verbose debug cache=yes cache=no writeback_cache=no unreliable_append auto noauto user nouser users _netdev
	dcache_timeout=5 dcache_stat_timeout=5 dcache_dir_timeout=5 dcache_link_timeout=5 dcache_max_size=100
	dcache_clean_interval=5 dcache_min_clean_interval=5 cache_timeout=5 cache_stat_timeout=5 cache_dir_timeout=5
	cache_link_timeout=5 cache_max_size=100 cache_clean_interval=5 cache_min_clean_interval=5 compression=yes port=22`

// fuseOptions are those of FUSE and of mount(8) that people have in their scripts and in /etc/fstab.
const fuseOptions = `allow_other allow_root default_permissions umask=022 uid=1000 gid=1000 ro rw nosuid suid nodev dev noexec exec
	fsname=x subtype=y max_read=4096 attr_timeout=1.5 entry_timeout=0 negative_timeout=0 ac_attr_timeout=1 kernel_cache auto_cache
	direct_io no_rofd_flush nonempty noauto auto _netdev nofail x-systemd.automount x-gvfs-show X-mount.mkdir defaults user users noatime atime
	relatime sync dirsync async auto_unmount remember=5 remember=-1 noforget intr use_ino readdir_ino hard_remove big_writes max_background=12
	max_readahead=4096 clone_fd max_idle_threads=3 comment=a context=system_u:object_r:x readdirplus=no`

func TestEveryOptionOfSSHFSAndFUSEIsAccepted(t *testing.T) {
	for _, o := range strings.Fields(sshfsOptions + " " + fuseOptions) {
		s := new(Settings)
		p := parser{s: s}
		if err := p.option(o); err != nil {
			t.Errorf("-o %s: %v", o, err)
		}
	}
}

func TestOptionsSetWhatTheySay(t *testing.T) {
	second := func(n float64) *time.Duration { d := time.Duration(n * float64(time.Second)); return &d }
	number := func(n uint32) *uint32 { return &n }
	tests := []struct {
		args string
		got  func(*Settings) any
		want any
	}{
		{"-p 2222", func(s *Settings) any { return s.Dial.Port }, "2222"},
		{"-p2222", func(s *Settings) any { return s.Dial.Port }, "2222"},
		{"-C", func(s *Settings) any { return s.Dial.Compression }, true},
		{"-fC", func(s *Settings) any { return s.Foreground && s.Dial.Compression }, true},
		{"-d", func(s *Settings) any { return s.Foreground && s.Debug && s.Mount.Debug }, true},
		{"-v", func(s *Settings) any { return s.Debug || s.Foreground }, false},
		{"-vC --verbose", func(s *Settings) any { return s.Dial.Compression }, true},
		{"--debug", func(s *Settings) any { return s.Debug }, true},
		{"-o sshfs_debug", func(s *Settings) any { return s.Foreground && s.Debug }, true},
		{"-s", func(s *Settings) any { return s.Mount.SingleThreaded }, true},
		{"-F none", func(s *Settings) any { return s.Dial.ConfigFile }, "none"},
		{"-o Port=2222", func(s *Settings) any { return s.Dial.SSHOptions }, []string{"Port=2222"}},
		{"-oidentityfile=/k,ServerAliveInterval=15", func(s *Settings) any { return s.Dial.SSHOptions }, []string{"IdentityFile=/k", "ServerAliveInterval=15"}},
		{"-o connecttimeout=3", func(s *Settings) any { return s.Dial.ConnectTimeout }, 3 * time.Second},
		{"-o User=joe", func(s *Settings) any { return s.Dial.SSHOptions }, []string{"User=joe"}},
		{"-o user", func(s *Settings) any { return len(s.Dial.SSHOptions) }, 0},
		{"-o ssh_command=ssh\\ -x\\,y,ro", func(s *Settings) any { return s.Dial.SSHCommand }, "ssh -x,y"},
		{"-o ssh_command=a\\040b\\\\c", func(s *Settings) any { return s.Dial.SSHCommand }, "a b\\c"},
		{"-o sftp_server=/x/sftp-server", func(s *Settings) any { return s.Dial.SFTPServer }, "/x/sftp-server"},
		{"-o directport=115", func(s *Settings) any { return s.Dial.DirectPort }, "115"},
		{"-o vsock=2:115", func(s *Settings) any { return s.Dial.VSock }, "2:115"},
		{"-o passive", func(s *Settings) any { return s.Passive && s.Foreground }, true},
		{"-o password_stdin", func(s *Settings) any { return s.PasswordFromStdin }, true},
		{"-o max_conns=4,max_channels=2", func(s *Settings) any { return [2]int{s.Conn.MaxConns, s.Conn.MaxChannels} }, [2]int{4, 2}},
		{"-o max_conns=16", func(s *Settings) any { return [2]int{s.Conn.MaxConns, len(s.Warnings)} }, [2]int{16, 0}},
		{"-o max_conns=50", func(s *Settings) any { return [2]int{s.Conn.MaxConns, len(s.Warnings)} }, [2]int{16, 1}},
		{"", func(s *Settings) any { return s.Conn.NoReconnect }, false},
		{"-o no_reconnect", func(s *Settings) any { return s.Conn.NoReconnect }, true},
		{"-o no_reconnect,reconnect", func(s *Settings) any { return s.Conn.NoReconnect }, false},
		{"-o reconnect_timeout=0", func(s *Settings) any { return s.Conn.ReconnectTimeout < 0 }, true},
		{"-o reconnect_timeout=90", func(s *Settings) any { return s.Conn.ReconnectTimeout }, 90 * time.Second},
		{"-o entry_timeout=0", func(s *Settings) any { return s.Cache.NoAbsence }, true},
		{"-o negative_timeout=0", func(s *Settings) any { return s.Cache.NoAbsence }, true},
		{"-o negative_timeout=5", func(s *Settings) any { return s.Cache.NoAbsence }, false},
		{"-o dir_cache=no", func(s *Settings) any { return s.Cache.NoDirCache }, true},
		{"-o cache=no", func(s *Settings) any { return s.Cache.NoDirCache }, true},
		{"-o dcache_timeout=60", func(s *Settings) any { return s.Cache.Timeout }, time.Minute},
		{"-o dcache_stat_timeout=5", func(s *Settings) any { return s.Cache.Timeout }, 5 * time.Second},
		{"-o dcache_timeout=60,dcache_dir_timeout=30", func(s *Settings) any { return s.Cache.Timeout }, 30 * time.Second},
		{"-o dcache_stat_timeout=60", func(s *Settings) any { return s.Cache.Timeout }, 20 * time.Second},
		{"-o dcache_timeout=0", func(s *Settings) any { return s.Cache.NoDirCache }, true},
		{"-o dcache_max_size=0", func(s *Settings) any { return s.Cache.MaxNames }, 1},
		{"-o dcache_max_size=5", func(s *Settings) any { return s.Cache.MaxNames }, 5},
		{"-o async", func(s *Settings) any { return s.Cache.Async }, true},
		{"-o sshmount_async", func(s *Settings) any { return s.Cache.Async }, true},
		{"-o sshfs_sync", func(s *Settings) any { return s.Cache.SyncWrites }, true},
		{"-o no_readahead", func(s *Settings) any { return s.Cache.SyncReads }, true},
		{"-o prefetch=no", func(s *Settings) any { return s.Cache.NoPrefetch }, true},
		{"-o prefetch", func(s *Settings) any { return s.Cache.NoPrefetch }, false},
		{"-o read_budget=128M,write_budget=1g,prefetch_budget=2048k", func(s *Settings) any {
			return [3]int64{s.Cache.ReadBudget, s.Cache.WriteBudget, s.Cache.PrefetchBudget}
		}, [3]int64{128 << 20, 1 << 30, 2 << 20}},
		{"-o rescue_dir=/r,log_file=/l", func(s *Settings) any { return s.Cache.RescueDir + s.LogFile }, "/r/l"},
		{"", func(s *Settings) any { return s.IDMap }, MapUser},
		{"-o idmap=name", func(s *Settings) any { return s.IDMap }, MapName},
		{"-o idmap=file,uidfile=/u,gidfile=/g,nomap=ignore", func(s *Settings) any {
			return [3]any{s.UIDFile, s.GIDFile, s.IgnoreUnmapped}
		}, [3]any{"/u", "/g", true}},
		{"-o uid=5,gid=6,umask=027", func(s *Settings) any { return []*uint32{s.Mount.UID, s.Mount.GID, s.Mount.Umask} }, []*uint32{number(5), number(6), number(0o27)}},
		{"-o uid=-1,gid=-1", func(s *Settings) any { return []*uint32{s.Mount.UID, s.Mount.GID} }, []*uint32{number(math.MaxUint32), number(math.MaxUint32)}},
		{"-o follow_symlinks,transform_symlinks,no_contain_symlinks,disable_hardlink", func(s *Settings) any {
			return s.Cache.FollowSymlinks && s.Cache.TransformSymlinks && s.Cache.FreeSymlinks && s.Cache.DisableHardlink
		}, true},
		{"-o allow_other", func(s *Settings) any { return s.Mount.AllowOther && s.Mount.DefaultPermissions }, true},
		{"-o allow_other,allow_root", func(s *Settings) any {
			return [3]any{s.Mount.AllowOther, s.Mount.AllowRoot, s.Mount.DefaultPermissions}
		}, [3]any{false, true, false}},
		{"-o allow_other,no_default_permissions", func(s *Settings) any { return s.Mount.DefaultPermissions }, false},
		{"-o ro,noexec,noatime,suid,dev", func(s *Settings) any {
			return s.Mount.ReadOnly && s.Mount.NoExec && s.Mount.NoAtime && s.Mount.Suid && s.Mount.Dev
		}, true},
		{"-o suid,nosuid,dev,nodev,ro,rw", func(s *Settings) any { return s.Mount.Suid || s.Mount.Dev || s.Mount.ReadOnly }, false},
		{"", func(s *Settings) any { return s.Mount.Suid || s.Mount.Dev }, false},
		{"-o attr_timeout=1.5,entry_timeout=0,negative_timeout=3", func(s *Settings) any {
			return []*time.Duration{s.Mount.AttrTimeout, s.Mount.EntryTimeout, s.Mount.NegativeTimeout}
		}, []*time.Duration{second(1.5), second(0), second(3)}},
		{"-o kernel_cache", func(s *Settings) any { return s.Mount.KernelCache }, true},
		{"-o direct_io", func(s *Settings) any { return s.Mount.DirectIO && s.Cache.DirectIO }, true},
		{"-o auto_unmount", func(s *Settings) any { return s.Mount.AutoUnmount }, true},
		{"-o nonempty", func(s *Settings) any { return s.NonEmpty }, true},
		{"-o max_read=4096", func(s *Settings) any { return s.Mount.MaxRead }, 4096},
		{"-o max_readahead=8192", func(s *Settings) any { return s.Mount.MaxReadAhead }, 8192},
		{"-o readdirplus=no", func(s *Settings) any { return s.Mount.NoReaddirplus }, true},
		{"-o sync", func(s *Settings) any { return s.Mount.Sync && s.Cache.SyncWrites }, true},
		{"-o context=a:b", func(s *Settings) any { return s.Mount.MountOptions }, []string{"context=a:b"}},
		{"", func(s *Settings) any { return s.Mount.FsName + " " + s.Mount.Subtype }, "me@host:/dir sshmount"},
		{"-o fsname=x,subtype=y", func(s *Settings) any { return s.Mount.FsName + " " + s.Mount.Subtype }, "x y"},
		{"-o drain_timeout=7", func(s *Settings) any { return s.DrainTimeout }, 7 * time.Second},
		{"", func(s *Settings) any { return s.DrainTimeout }, 2 * time.Minute},
		{"-o drain_timeout=0", func(s *Settings) any { return s.DrainTimeout }, time.Nanosecond},
	}
	for _, test := range tests {
		t.Run(test.args, func(t *testing.T) {
			// Blanks part the arguments, but for the one behind a backslash.
			args := strings.Fields(strings.ReplaceAll(test.args, `\ `, "\x00"))
			for i := range args {
				args[i] = strings.ReplaceAll(args[i], "\x00", `\ `)
			}
			if got := test.got(parse(t, args...)); !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestRemoteSides(t *testing.T) {
	tests := []struct {
		operand string
		want    target
	}{
		{"host:", target{host: "host"}},
		{"host:dir", target{host: "host", dir: "dir"}},
		{"me@host:/a:b", target{user: "me", host: "host", dir: "/a:b"}},
		{"me@corp@host:/d", target{user: "me@corp", host: "host", dir: "/d"}},
		{"[::1]:/d", target{host: "::1", dir: "/d"}},
		{"me@[fe80::1%eth0]:", target{user: "me", host: "fe80::1%eth0"}},
		{"[me@::1]:d", target{user: "me", host: "::1", dir: "d"}},
		{"host:[x]", target{host: "host", dir: "[x]"}},
		{"host:~/x y", target{host: "host", dir: "~/x y"}},
		{"sftp://me@host:2222/srv/data", target{user: "me", host: "host", port: "2222", dir: "/srv/data"}},
		{"sftp://host", target{host: "host"}},
		{"sftp://host/~/docs", target{host: "host", dir: "docs"}},
		{"sftp://[::1]:22/a%20b", target{host: "::1", port: "22", dir: "/a b"}},
		{"ssh://host/", target{host: "host", dir: "/"}},
	}
	for _, test := range tests {
		got, err := parseTarget(test.operand)
		if err != nil || got != test.want {
			t.Errorf("%q: got %+v, %v; want %+v", test.operand, got, err, test.want)
		}
	}
}

func TestOptionsStandAnywhere(t *testing.T) {
	for _, args := range [][]string{
		{"-o", "ro", "h:/d", "/mnt", "-p", "23"},
		{"h:/d", "-p23", "/mnt", "-oro"},
		{"/mnt", "-p", "23", "-o", "ro", "--", "h:/d"},
	} {
		s, err := Parse("sshmount", args, false)
		if err != nil {
			t.Fatalf("%q: %v", args, err)
		}
		if s.Dial.Host != "h" || s.Cache.Root != "/d" || s.Mountpoint != "/mnt" || s.Dial.Port != "23" || !s.Mount.ReadOnly {
			t.Errorf("%q: got %+v", args, s)
		}
	}
}

func TestRelativeFilesAreCompleted(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{"config", "key", "u"} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := parse(t, "-F", "config", "-o", "idmap=file,uidfile=u,IdentityFile=key,IdentityAgent=none,UserKnownHostsFile=~/x,ControlPath=%d/y")
	if s.Dial.ConfigFile != filepath.Join(dir, "config") || s.UIDFile != filepath.Join(dir, "u") {
		t.Errorf("got %q and %q", s.Dial.ConfigFile, s.UIDFile)
	}
	want := []string{"IdentityFile=" + filepath.Join(dir, "key"), "IdentityAgent=none", "UserKnownHostsFile=~/x", "ControlPath=%d/y"}
	if !slices.Equal(s.Dial.SSHOptions, want) {
		t.Errorf("got %q, want %q", s.Dial.SSHOptions, want)
	}
}

func TestHelpNamesEveryOptionOnce(t *testing.T) {
	var b strings.Builder
	if err := Usage(&b); err != nil {
		t.Fatal(err)
	}
	for _, o := range table {
		if (o.Help != "" || o.Group == groupIgnored) && !strings.Contains(b.String(), o.Name) {
			t.Errorf("%s is not in the help", o.Name)
		}
		if o.set == nil {
			t.Errorf("%s has no effect", o.Name)
		}
	}
	for line := range strings.Lines(b.String()) {
		if len(line) > 101 {
			t.Errorf("a line of the help is too long: %s", line)
		}
	}
}
