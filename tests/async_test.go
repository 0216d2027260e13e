package tests

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sshmount/tests/line"
)

// With async an untar does not wait for the line, and sync returns when the server has everything.
func TestRaceAsyncUntarThenSync(t *testing.T) {
	t.Parallel()
	onlySshmount(t)
	s := newServer(t)
	source := filepath.Join(testDir(t, "tree"), "source")
	makeTree(t, source, 120)
	_, config := s.over(t, line.Config{Delay: 25 * time.Millisecond})
	m := s.mountOver(t, config, "-o", "async")
	must(t, os.Mkdir(m.path("tree"), 0o755))
	shell(t, "", `tar -C "$1" -cf - . | tar -C "$2" -xpf -`, source, m.path("tree"))
	// What is not there yet is seen here all the same.
	sameTrees(t, m.path("tree"), source, whatOf{modes: true, times: true})
	if out, err := sshmount(t, "sync", m.point); err != nil {
		t.Fatalf("sync: %v\n%s", err, out)
	}
	sameTrees(t, s.local("tree"), source, whatOf{modes: true, times: true})
	run(t, "", "rm", "-r", m.path("tree"))
	if out, err := sshmount(t, "sync", m.point); err != nil {
		t.Fatalf("sync: %v\n%s", err, out)
	}
	if exists(s.local("tree")) {
		t.Error("rm -r and sync left the tree on the server")
	}
}

// Unmounting an async mount waits for the backlog.
func TestAsyncUnmountDrains(t *testing.T) {
	t.Parallel()
	onlySshmount(t)
	s := newServer(t)
	source := filepath.Join(testDir(t, "tree"), "source")
	makeTree(t, source, 60)
	for _, how := range []string{"fusermount3 -u", "sshmount umount", "SIGTERM"} {
		_, config := s.over(t, line.Config{Delay: 25 * time.Millisecond})
		m := s.mountOver(t, config, "-o", "async")
		name := strings.ReplaceAll(how, " ", "-")
		run(t, "", "cp", "-a", source, m.path(name))
		switch how {
		case "fusermount3 -u":
			run(t, "", "fusermount3", "-u", m.point)
		case "sshmount umount":
			if out, err := sshmount(t, "umount", m.point); err != nil {
				t.Errorf("umount: %v\n%s", err, out)
			}
			// It has returned, so everything is there.
			sameTrees(t, s.local(name), source, whatOf{modes: true, times: true})
		case "SIGTERM":
			must(t, m.cmd.Process.Signal(syscall.SIGTERM))
		}
		m.waitEnd(0)
		sameTrees(t, s.local(name), source, whatOf{modes: true, times: true})
	}
}

// What the server refuses later is reported by sync, once, and stays in the log.
func TestAsyncErrorsAreReportedBySync(t *testing.T) {
	t.Parallel()
	onlySshmount(t)
	needRoot(t)
	s := newServerWith(t, serverOptions{user: "nobody", subsystem: "internal-sftp"})
	must(t, os.Mkdir(s.local("locked"), 0o755))
	must(t, os.Chmod(s.root, 0o777))
	m := s.mount("-o", "async")
	if _, err := os.ReadDir(m.path("locked")); err != nil {
		t.Fatal(err)
	}
	madeErr := os.Mkdir(m.path("locked/d"), 0o755)
	out, err := sshmount(t, "sync", m.point)
	if madeErr == nil && (err == nil || !strings.Contains(out, "locked/d") || !strings.Contains(strings.ToLower(out), "permission denied")) {
		t.Errorf("mkdir was refused by the server only; sync: %v, says:\n%s", err, out)
	}
	if madeErr == nil && !strings.Contains(m.logText(), "locked/d") {
		t.Errorf("the log does not tell of it:\n%s", m.logText())
	}
	if out, err := sshmount(t, "sync", m.point); err != nil {
		t.Errorf("a second sync: %v\n%s", err, out)
	}
	// The name is not shown any more.
	eventually(t, 30*time.Second, "the refused directory is not shown", func() (bool, string) {
		return !exists(m.path("locked/d")), "it is there"
	})
}

// fsync is as strong as without async.
func TestAsyncFsyncIsStrong(t *testing.T) {
	t.Parallel()
	onlySshmount(t)
	s := newServer(t)
	_, config := s.over(t, line.Config{Delay: 10 * time.Millisecond})
	m := s.mountOver(t, config, "-o", "async")
	must(t, os.MkdirAll(m.path("a/b/c"), 0o755))
	f, err := os.Create(m.path("a/b/c/f"))
	must(t, err)
	defer f.Close()
	_, err = f.WriteString("safe")
	must(t, err)
	must(t, os.Rename(m.path("a/b"), m.path("a/z")))
	must(t, f.Sync())
	wantContent(t, s.local("a/z/c/f"), "safe")
}

func TestAsyncOverABreakingLine(t *testing.T) {
	t.Parallel()
	onlySshmount(t)
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			source := filepath.Join(testDir(t, "tree"), "source")
			makeTree(t, source, 80)
			l, config := s.over(t, line.Config{Delay: 5 * time.Millisecond, BytesPerSecond: 4 << 20})
			m := s.mountOver(t, config, append(aliveOptions, "-o", "async")...)
			must(t, os.Mkdir(m.path("tree"), 0o755))
			tar := start(t, "", programEnv(), "sh", "-euc", `tar -C "$1" -cf - . | tar -C "$2" -xpf - && "$3" sync "$4"`, "sh", source, m.path("tree"), binary, m.point)
			breakWhile(t, s, l, f, tar.running)
			tar.wait(t)
			sameTrees(t, s.local("tree"), source, whatOf{modes: true, times: true})
		})
	}
}
