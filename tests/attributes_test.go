package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A link's own times are set, never those of what it leads to.
func TestTimesOfALinkAreItsOwn(t *testing.T) {
	t.Parallel()
	onlySshmount(t)
	s := newServer(t)
	m := s.mount()
	write(t, m.path("file"), "x")
	must(t, os.Symlink("file", m.path("link")))
	must(t, os.Symlink("nowhere", m.path("dangling")))
	before := lstat(t, s.local("file")).Mtim.Sec
	run(t, m.point, "touch", "-h", "-d", "2001-02-03 04:05:06 UTC", "link", "dangling")
	const want = 981173106
	for _, p := range []string{m.path("link"), s.local("link"), m.path("dangling"), s.local("dangling")} {
		if got := lstat(t, p).Mtim.Sec; got != want {
			t.Errorf("%s has mtime %d, want %d", p, got, want)
		}
	}
	if got := lstat(t, s.local("file")).Mtim.Sec; got != before {
		t.Errorf("touch -h changed the file's mtime from %d to %d", before, got)
	}
}

// A server that can't set the times of a link does not make the copy of a tree fail, and a link's target keeps its own.
func TestATreeWithLinksIsCopiedToAServerThatSetsNoTimesOfLinks(t *testing.T) {
	t.Parallel()
	onlySshmount(t)
	s := newServerWith(t, serverOptions{subsystem: sftpServer + " -P lsetstat"})
	source := filepath.Join(testDir(t, "tree"), "source")
	must(t, os.Mkdir(source, 0o755))
	write(t, filepath.Join(source, "file"), "x")
	must(t, os.Chtimes(filepath.Join(source, "file"), time.Unix(1111, 0), time.Unix(1111, 0)))
	must(t, os.Symlink("file", filepath.Join(source, "link")))
	must(t, os.Symlink("nowhere", filepath.Join(source, "dangling")))
	for _, option := range []string{"prefetch=yes", "async"} {
		m := s.mount("-o", option)
		for _, how := range []string{`cp -a "$1" "$2"`, `rsync -a "$1/" "$2"`, `mkdir "$2" && tar -C "$1" -cf - . | tar -C "$2" -xpf -`} {
			name := option + "-" + how[:2]
			shell(t, "", how, source, m.path(name))
			if out, err := sshmount(t, "sync", m.point); err != nil {
				t.Errorf("%s with %s: sync: %v\n%s", how, option, err, out)
			}
			if target, err := os.Readlink(s.local(name, "link")); err != nil || target != "file" {
				t.Errorf("%s with %s: the link is %q, %v", how, option, target, err)
			}
			if got := lstat(t, s.local(name, "file")).Mtim.Sec; got != 1111 {
				t.Errorf("%s with %s: the file has the time %d", how, option, got)
			}
		}
	}
}

func TestTimesAndModes(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	m := s.mount()
	write(t, m.path("f"), "x")
	for _, when := range []int64{0, 1, 86400, 1<<31 - 1} {
		must(t, os.Chtimes(m.path("f"), time.Unix(when, 0), time.Unix(when, 0)))
		if got := lstat(t, s.local("f")); got.Mtim.Sec != when || got.Atim.Sec != when {
			t.Errorf("set to %d, the server has mtime %d, atime %d", when, got.Mtim.Sec, got.Atim.Sec)
		}
		if got := lstat(t, m.path("f")); got.Mtim.Sec != when {
			t.Errorf("set to %d, the mount shows mtime %d", when, got.Mtim.Sec)
		}
	}
	// One time alone leaves the other.
	must(t, os.Chtimes(m.path("f"), time.Unix(1111, 0), time.Unix(2222, 0)))
	run(t, "", "touch", "-m", "-d", "@3333", m.path("f"))
	if got := lstat(t, s.local("f")); got.Atim.Sec != 1111 || got.Mtim.Sec != 3333 {
		t.Errorf("after touch -m: atime %d, mtime %d", got.Atim.Sec, got.Mtim.Sec)
	}
	before := time.Now().Unix()
	run(t, "", "touch", m.path("f"))
	if got := lstat(t, s.local("f")).Mtim.Sec; got < before-2 || got > before+60 {
		t.Errorf("touch sets %d, now is %d", got, before)
	}
	for _, mode := range []os.FileMode{0o600, 0o755, 0o444, 0} {
		must(t, os.Chmod(m.path("f"), mode))
		if got := lstat(t, s.local("f")).Mode & 0o7777; got != uint32(mode) {
			t.Errorf("chmod %o made %o on the server", mode, got)
		}
		if got := lstat(t, m.path("f")).Mode & 0o7777; got != uint32(mode) {
			t.Errorf("chmod %o shows %o", mode, got)
		}
	}
}

// New files and directories get the mode that was asked for less the creating process's umask, whatever the server's is.
func TestModesOfNewFilesFollowTheUmask(t *testing.T) {
	t.Parallel()
	for _, remote := range []string{"022", "077"} {
		t.Run("server's umask "+remote, func(t *testing.T) {
			s := newServerWith(t, serverOptions{subsystem: sftpServer + " -u " + remote})
			m := s.mount()
			for _, umask := range []string{"022", "027", "077", "000"} {
				shell(t, m.point, `umask $1; : >f$1; mkdir d$1; mkfifo p$1 2>/dev/null || :`, umask)
				var bits uint32
				fmt.Sscanf(umask, "%o", &bits)
				if standIn && remote == "077" {
					continue // sshfs lets the server's umask have its way
				}
				for _, at := range []string{s.root, m.point} {
					if got := lstat(t, at+"/f"+umask).Mode & 0o7777; got != 0o666&^bits {
						t.Errorf("%s: a file made with umask %s has mode %o", at, umask, got)
					}
					if got := lstat(t, at+"/d"+umask).Mode & 0o7777; got != 0o777&^bits {
						t.Errorf("%s: a directory made with umask %s has mode %o", at, umask, got)
					}
				}
			}
		})
	}
}

func TestFreeSpaceIsTheServers(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	m := s.mount()
	var here, there syscall.Statfs_t
	must(t, syscall.Statfs(m.point, &here))
	must(t, syscall.Statfs(s.root, &there))
	if a, b := here.Blocks*uint64(here.Frsize), there.Blocks*uint64(there.Frsize); a != b {
		t.Errorf("size: the mount says %d bytes, the server %d", a, b)
	}
	a, b := float64(here.Bavail)*float64(here.Frsize), float64(there.Bavail)*float64(there.Frsize)
	if a < 0.8*b || a > 1.25*b {
		t.Errorf("free: the mount says %.0f bytes, the server %.0f", a, b)
	}
	if here.Namelen != 255 {
		t.Errorf("names may have %d bytes, want 255", here.Namelen)
	}
	if out := run(t, "", "df", "-T", m.point); !strings.Contains(out, "fuse.ssh") {
		t.Errorf("df -T says:\n%s", out)
	}
}
