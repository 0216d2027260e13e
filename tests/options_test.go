package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sshmount/tests/sshd"
)

func TestReadOnlyMount(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	write(t, s.local("f"), "x")
	m := s.mount("-o", "ro")
	wantContent(t, m.path("f"), "x")
	wantErrno(t, "create", os.WriteFile(m.path("g"), nil, 0o644), syscall.EROFS)
	wantErrno(t, "overwrite", os.WriteFile(m.path("f"), nil, 0o644), syscall.EROFS)
	wantErrno(t, "mkdir", os.Mkdir(m.path("d"), 0o755), syscall.EROFS)
	wantErrno(t, "unlink", os.Remove(m.path("f")), syscall.EROFS)
	wantErrno(t, "chmod", os.Chmod(m.path("f"), 0o600), syscall.EROFS)
}

// Owners and permission bits that the mount shows.
func TestShownOwnersAndModes(t *testing.T) {
	t.Parallel()
	needRoot(t)
	s := newServer(t)
	write(t, s.local("mine"), "x")
	write(t, s.local("other"), "x")
	must(t, os.Chmod(s.local("other"), 0o666))
	must(t, os.Chown(s.local("other"), 4321, 8765))
	owner := func(path string) string {
		st := lstat(t, path)
		return fmt.Sprintf("%d:%d", st.Uid, st.Gid)
	}
	mode := func(path string) string { return fmt.Sprintf("%o", lstat(t, path).Mode&0o7777) }
	check := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}

	none := s.mount("-o", "idmap=none")
	check("idmap=none", owner(none.path("other")), "4321:8765")
	// chown of one half leaves the other.
	must(t, os.Chown(none.path("other"), 4322, -1))
	check("after chown 4322:-1", owner(s.local("other")), "4322:8765")
	must(t, os.Chown(none.path("other"), -1, 8766))
	check("after chown -1:8766", owner(s.local("other")), "4322:8766")
	must(t, os.Chown(s.local("other"), 4321, 8765))

	fixed := s.mount("-o", "uid=1234,gid=5678,umask=027")
	check("uid=,gid=", owner(fixed.path("other")), "1234:5678")
	check("uid=,gid=", owner(fixed.path("mine")), "1234:5678")
	// As every FUSE file system has it: all bits but these, whatever the server says.
	check("umask=027 of a file 666", mode(fixed.path("other")), "750")
	check("umask=027 of a file 644", mode(fixed.path("mine")), "750")

	dir := testDir(t, "maps")
	write(t, filepath.Join(dir, "uids"), "daemon:4321\n")
	write(t, filepath.Join(dir, "gids"), "daemon:8765\n")
	mapped := s.mount("-o", "idmap=file,uidfile="+filepath.Join(dir, "uids")+",gidfile="+filepath.Join(dir, "gids")+",nomap=ignore")
	check("idmap=file", owner(mapped.path("other")), "1:1")
	must(t, os.Chown(mapped.path("mine"), 1, 1))
	check("chown by idmap=file", owner(s.local("mine")), "4321:8765")
	must(t, os.Chown(s.local("mine"), 0, 0))
}

func TestAServerThatTellsNoNamesOfOwnersIsNamed(t *testing.T) {
	t.Parallel()
	onlySshmount(t)
	for what, c := range map[string]struct {
		subsystem string
		warns     bool
	}{
		"without names": {sftpServer + " -P users-groups-by-id", true},
		"with names":    {sftpServer, false},
	} {
		m := newServerWith(t, serverOptions{subsystem: c.subsystem}).mount("-o", "idmap=name")
		if warns := strings.Contains(m.logText(), "can't tell the names of users and groups"); warns != c.warns {
			t.Errorf("%s: that idmap=name can't work is said: %v\n%s", what, warns, m.logText())
		}
	}
}

// The remote user's files are the mounting user's.
func TestRemoteUserIsShownAsTheMountingUser(t *testing.T) {
	t.Parallel()
	needRoot(t)
	// The remote user is known by the owner of the directory in which a login begins.
	home := testDir(t, "home")
	must(t, os.Chown(home, 65534, 65534))
	s := newServerWith(t, serverOptions{user: "nobody", subsystem: "internal-sftp -d " + home})
	must(t, os.Chmod(s.root, 0o777))
	write(t, s.local("theirs"), "x")
	must(t, os.Chown(s.local("theirs"), 65534, 65534))
	m := s.mount()
	if st := lstat(t, m.path("theirs")); st.Uid != 0 {
		t.Errorf("the remote user's file is shown as of uid %d, want 0", st.Uid)
	}
	write(t, m.path("new"), "x")
	if st := lstat(t, s.local("new")); st.Uid != 65534 {
		t.Errorf("a new file belongs to uid %d on the server", st.Uid)
	}
	if st := lstat(t, m.path("new")); st.Uid != 0 {
		t.Errorf("a new file is shown as of uid %d, want 0", st.Uid)
	}
	// What the remote user may not do is refused as such.
	must(t, os.Mkdir(s.local("locked"), 0o700))
	write(t, s.local("locked/f"), "x")
	write(t, s.local("unreadable"), "x")
	must(t, os.Chmod(s.local("unreadable"), 0o600))
	_, err := os.ReadFile(m.path("unreadable"))
	wantErrno(t, "read without permission", err, syscall.EACCES)
	_, err = os.ReadDir(m.path("locked"))
	wantErrno(t, "list without permission", err, syscall.EACCES)
	wantErrno(t, "create without permission", os.WriteFile(m.path("locked/g"), nil, 0o644), syscall.EACCES)
	wantErrno(t, "write without permission", os.WriteFile(m.path("unreadable"), []byte("y"), 0o644), syscall.EACCES)
}

func TestAllowOther(t *testing.T) {
	t.Parallel()
	needRoot(t)
	s := newServer(t)
	write(t, s.local("public"), "for all")
	write(t, s.local("private"), "for one")
	must(t, os.Chmod(s.local("private"), 0o600))
	const nobody = 65534

	mine := s.mount()
	if _, err := helperAs(t, nobody, "read", mine.path("public")); err == nil {
		t.Error("another user reads from a mount without allow_other")
	}
	m := s.mount("-o", "allow_other")
	if out, err := helperAs(t, nobody, "read", m.path("public")); err != nil || out != "for all" {
		t.Errorf("with allow_other another user reads %q, %v", out, err)
	}
	if standIn {
		return
	}
	if out, err := helperAs(t, nobody, "read", m.path("private")); err == nil {
		t.Errorf("allow_other gives a private file (%q) to everybody", out)
	}
	if _, err := helperAs(t, nobody, "write", m.path("by-nobody"), "x"); err == nil {
		t.Error("allow_other lets everybody write to a directory of mode 755")
	}
}

// An ordinary user mounts, in the background, with nothing but what fusermount3 gives. It happens in a mount namespace
// of its own, with a /dev/fuse that is open to all as it is on every Debian, and not on every machine that runs tests.
// The ways to reach a server other than the native login.
func TestOtherWaysToTheServer(t *testing.T) {
	t.Parallel()
	works := func(t *testing.T, s *server, m *mounted) {
		t.Helper()
		content := string(pseudoRandom(9, 600_000))
		write(t, m.path("f"), content)
		wantContent(t, s.local("f"), content)
		wantContent(t, m.path("f"), content)
	}
	t.Run("ssh_command", func(t *testing.T) {
		s := newServer(t)
		works(t, s, s.mount("-o", "ssh_command=ssh"))
	})
	t.Run("ssh_command with arguments", func(t *testing.T) {
		s := newServer(t)
		seen := filepath.Join(s.dir, "seen")
		script := filepath.Join(s.dir, "my-ssh")
		write(t, script, "#!/bin/sh\necho \"$1\" >"+seen+"\nshift\nexec ssh \"$@\"\n")
		must(t, os.Chmod(script, 0o755))
		works(t, s, s.mount("-o", "ssh_command="+script+" first"))
		wantContent(t, seen, "first\n")
	})
	t.Run("sftp_server path", func(t *testing.T) {
		s := newServerWith(t, serverOptions{subsystem: sshd.NoSFTP})
		works(t, s, s.mount("-o", "sftp_server="+sftpServer))
	})
	t.Run("sftp_server subsystem", func(t *testing.T) {
		s := newServerWith(t, serverOptions{subsystem: sshd.NoSFTP, extra: "Subsystem other " + sftpServer + "\n"})
		works(t, s, s.mount("-o", "sftp_server=other"))
	})
	t.Run("internal-sftp", func(t *testing.T) {
		s := newServerWith(t, serverOptions{subsystem: "internal-sftp"})
		works(t, s, s.mount())
	})
	for _, sessions := range []int{1, 2} {
		t.Run(fmt.Sprintf("MaxSessions %d", sessions), func(t *testing.T) {
			s := newServerWith(t, serverOptions{maxSessions: sessions})
			m := s.mount()
			works(t, s, m)
			big := string(pseudoRandom(2, 24<<20))
			write(t, m.path("big"), big)
			wantContent(t, s.local("big"), big)
			wantContent(t, m.path("big"), big)
		})
	}
	t.Run("max_conns", func(t *testing.T) {
		s := newServer(t)
		works(t, s, s.mount("-o", "max_conns=3"))
	})
	t.Run("directport", func(t *testing.T) {
		s := newServer(t)
		port := serveDirect(t, nil)
		m := mountArgs(t, []string{"-o", fmt.Sprintf("directport=%d", port), "127.0.0.1:" + s.root, mountPoint(t)}, nil)
		works(t, s, m)
	})
	t.Run("passive", func(t *testing.T) {
		s := newServer(t)
		fromServer, toProgram, err := os.Pipe()
		must(t, err)
		fromProgram, toServer, err := os.Pipe()
		must(t, err)
		sftp := exec.Command(sftpServer)
		sftp.Stdin, sftp.Stdout = fromProgram, toProgram
		must(t, sftp.Start())
		t.Cleanup(func() { _ = sftp.Process.Kill(); _ = sftp.Wait() })
		m := startMount(t, []string{"-o", "passive", ":" + s.root, mountPoint(t)}, func(cmd *exec.Cmd) {
			cmd.Stdin, cmd.Stdout = fromServer, toServer
		})
		for _, f := range []*os.File{fromServer, toProgram, fromProgram, toServer} {
			must(t, f.Close())
		}
		eventually(t, 30*time.Second, "mounted", func() (bool, string) {
			return len(mountsUnder(m.point)) > 0 || m.hasEnded(), "no mount"
		})
		works(t, s, m)
	})
}

// Options and forms of sshfs's command line that change nothing visible here, and have to be taken.
func TestAcceptedOptions(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	write(t, s.local("f"), "x")
	for _, options := range [][]string{
		{"-C"}, {"-s"}, {"-o", "compression=yes"}, {"-o", "reconnect,delay_connect"}, {"-o", "sshfs_sync"}, {"-o", "sync_readdir,no_readahead"},
		{"-o", "workaround=rename:truncate:buflimit:createmode"}, {"-o", "workaround=none"}, {"-o", "disable_hardlink"},
		{"-o", "dcache_timeout=3,dcache_max_size=100,dcache_stat_timeout=3,dcache_link_timeout=3,dcache_dir_timeout=3"},
		{"-o", "dcache_clean_interval=5", "-o", "dcache_min_clean_interval=5"},
		{"-o", "cache=no"}, {"-o", "dir_cache=no"}, {"-o", "direct_io"}, {"-o", "kernel_cache"}, {"-o", "auto_cache"},
		{"-o", "attr_timeout=1,entry_timeout=1,negative_timeout=1"}, {"-o", "max_read=65536"}, {"-o", "nosuid,nodev,noexec,noatime"},
		{"-o", "fsname=a name,subtype=other"}, {"-o", "Ciphers=aes128-ctr"}, {"-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=2"},
		{"-p", fmt.Sprint(s.port)}, {"-o", "port=" + fmt.Sprint(s.port)}, {"-o", "nonempty"}, {"-o", "default_permissions"}, {"-o", "_netdev,x-systemd.automount"},
	} {
		t.Run(strings.Join(options, " "), func(t *testing.T) {
			joined := strings.Join(options, " ")
			if standIn && (strings.Contains(joined, "nonempty") || strings.Contains(joined, "auto_cache") || strings.Contains(joined, "negative") ||
				strings.Contains(joined, "_netdev") || strings.Contains(joined, "port=")) {
				t.Skip("this sshfs does not take it")
			}
			if strings.HasPrefix(joined, "-o fsname") && standIn {
				t.Skip("leaves another type of mount")
			}
			m := s.mountPart(t, "", options...)
			wantContent(t, m.path("f"), "x")
			write(t, m.path("g"), "y")
			wantContent(t, s.local("g"), "y")
			if out := run(t, "", "findmnt", "-n", "-o", "SOURCE,FSTYPE", m.point); strings.Contains(joined, "fsname") && strings.Join(strings.Fields(out), " ") != "a name fuse.other" {
				t.Errorf("findmnt says %q", out)
			}
		})
	}
}

// With direct_io and without a cache of names everything is seen at once; the login directory is the default one.
func TestLoginDirectoryIsTheDefault(t *testing.T) {
	t.Parallel()
	needRoot(t)
	// The home of nobody does not exist, so the login directory is "/".
	s := newServerWith(t, serverOptions{user: "nobody", subsystem: "internal-sftp"})
	m := mountArgs(t, []string{"-F", s.config, "srv:", mountPoint(t)}, nil)
	if !exists(m.path("etc/passwd")) {
		t.Error("srv: does not show the login directory")
	}
	relative := mountArgs(t, []string{"-F", s.config, "srv:etc", mountPoint(t)}, nil)
	if !exists(relative.path("passwd")) {
		t.Error("srv:etc does not show a directory of the login directory")
	}
}
