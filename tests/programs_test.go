package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A source tree goes in by each of the usual ways, is compared on the server's disk, and comes out again.
func TestTreeInAndOutIsTheSame(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	m := s.mount()
	local := testDir(t, "tree")
	source := filepath.Join(local, "source")
	makeTree(t, source, 150)
	everything := whatOf{modes: true, times: true}

	t.Run("cp -a", func(t *testing.T) {
		run(t, "", "cp", "-a", source, m.path("cp"))
		sameTrees(t, s.local("cp"), source, everything)
		sameTrees(t, m.path("cp"), source, everything)
		run(t, "", "cp", "-a", m.path("cp"), filepath.Join(local, "cp-out"))
		sameTrees(t, filepath.Join(local, "cp-out"), source, everything)
	})
	t.Run("tar", func(t *testing.T) {
		must(t, os.Mkdir(m.path("tar"), 0o755))
		shell(t, "", `tar -C "$1" -cf - . | tar -C "$2" -xpf -`, source, m.path("tar"))
		sameTrees(t, s.local("tar"), source, everything)
		must(t, os.Mkdir(filepath.Join(local, "tar-out"), 0o755))
		shell(t, "", `tar -C "$1" -cf - . | tar -C "$2" -xpf -`, m.path("tar"), filepath.Join(local, "tar-out"))
		sameTrees(t, filepath.Join(local, "tar-out"), source, everything)
	})
	t.Run("rsync", func(t *testing.T) {
		run(t, "", "rsync", "-a", source+"/", m.path("rsync"))
		sameTrees(t, s.local("rsync"), source, everything)
		// Nothing is different now, so a second run moves nothing.
		if out := run(t, "", "rsync", "-a", "-i", source+"/", m.path("rsync")); strings.Contains(out, ">f") {
			t.Errorf("a second rsync copies again:\n%s", out)
		}
		run(t, "", "rsync", "-a", "--checksum", m.path("rsync")+"/", filepath.Join(local, "rsync-out"))
		sameTrees(t, filepath.Join(local, "rsync-out"), source, everything)
	})
	t.Run("rm -r", func(t *testing.T) {
		run(t, "", "rm", "-r", m.path("cp"))
		if exists(s.local("cp")) {
			t.Error("rm -r left the directory on the server")
		}
	})
}

// gitIn runs git with nothing of the user's configuration.
func gitIn(t *testing.T, dir string, args ...string) string {
	t.Helper()
	env := append(os.Environ(),
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org",
		"GIT_CONFIG_COUNT=2", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*", "GIT_CONFIG_KEY_1=gc.autoDetach", "GIT_CONFIG_VALUE_1=false")
	out, err := commandEnv(programLimit, dir, env, nil, "git", args...)
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func TestRaceGitWorksOnTheMount(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	m := s.mount()
	origin := filepath.Join(testDir(t, "git"), "origin")
	makeTree(t, origin, 120)
	gitIn(t, origin, "init", "-q", "-b", "main", ".")
	gitIn(t, origin, "add", "-A")
	gitIn(t, origin, "commit", "-q", "-m", "first")

	gitIn(t, "", "clone", "-q", "--no-hardlinks", origin, m.path("clone"))
	sameTrees(t, s.local("clone"), origin, whatOf{skip: ".git"})
	clone := m.path("clone")
	if out := gitIn(t, clone, "status", "--porcelain"); out != "" {
		t.Errorf("a fresh clone is not clean:\n%s", out)
	}
	write(t, filepath.Join(clone, "new.txt"), "new\n")
	must(t, os.Remove(filepath.Join(clone, "dangling")))
	if out := gitIn(t, clone, "status", "--porcelain"); out != " D dangling\n?? new.txt\n" {
		t.Errorf("git status says %q", out)
	}
	gitIn(t, clone, "add", "-A")
	gitIn(t, clone, "commit", "-q", "-m", "second")
	gitIn(t, clone, "switch", "-q", "-c", "side", "HEAD~1")
	if exists(filepath.Join(clone, "new.txt")) || !exists(filepath.Join(s.local("clone"), "dangling")) {
		t.Error("git switch did not bring the old tree back")
	}
	gitIn(t, clone, "switch", "-q", "main")
	gitIn(t, clone, "gc", "-q", "--prune=now")
	gitIn(t, clone, "fsck", "--full", "--strict")
	// The server's own git sees a sound repository too.
	gitIn(t, s.local("clone"), "fsck", "--full", "--strict")
	if out := gitIn(t, s.local("clone"), "status", "--porcelain"); out != "" {
		t.Errorf("on the server the clone is not clean:\n%s", out)
	}
	gitIn(t, clone, "push", "-q", "origin", "HEAD:refs/heads/pushed")
}

// Two processes of the database write at the same time, held apart by nothing but its locks.
func TestRaceSQLiteWithTwoWriters(t *testing.T) {
	t.Parallel()
	for _, journal := range []string{"delete", "wal"} {
		t.Run(journal, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			m := s.mount()
			db := m.path("data.db")
			run(t, "", "sqlite3", db, "pragma journal_mode="+journal+"; create table x(who text, n integer, blob text);")
			const rows = 40
			var writers []*background
			for _, who := range []string{"a", "b"} {
				var script strings.Builder
				script.WriteString(".timeout 60000\n")
				for i := range rows {
					fmt.Fprintf(&script, "begin immediate; insert into x values('%s', %d, hex(randomblob(600))); commit;\n", who, i)
				}
				file := filepath.Join(testDir(t, "sql"), "script")
				write(t, file, script.String())
				writers = append(writers, start(t, "", nil, "sqlite3", "-bail", db, ".read "+file))
			}
			for _, w := range writers {
				w.wait(t)
			}
			check := "pragma integrity_check; select who, count(*), count(distinct n) from x group by who;"
			want := fmt.Sprintf("ok\na|%d|%d\nb|%d|%d\n", rows, rows, rows, rows)
			if out := run(t, "", "sqlite3", db, check); out != want {
				t.Errorf("through the mount: %q, want %q", out, want)
			}
			if out := run(t, "", "sqlite3", s.local("data.db"), check); out != want {
				t.Errorf("on the server: %q, want %q", out, want)
			}
		})
	}
}

func TestVimSavesAFile(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	m := s.mount()
	vim := func(t *testing.T, file string, settings ...string) {
		t.Helper()
		args := []string{"-N", "-u", "NONE", "-i", "NONE", "-e", "-s"}
		for _, set := range settings {
			args = append(args, "-c", "set "+set)
		}
		env := programEnv("TERM=dumb")
		out, err := commandEnv(programLimit, m.point, env, nil, "vim", append(args, "-c", "normal! Goadded by vim", "-c", "wq", file)...)
		if err != nil {
			t.Fatalf("vim: %v\n%s", err, out)
		}
	}
	// The ways in which vim writes: over the old file, or a new one renamed to its name, with and without a backup kept.
	for name, settings := range map[string][]string{
		"as it comes": nil,
		"in place":    {"backupcopy=yes", "writebackup"},
		"renamed":     {"backupcopy=no", "writebackup"},
		"backup kept": {"backup", "backupcopy=auto"},
		"fsynced":     {"fsync", "swapfile"},
	} {
		t.Run(name, func(t *testing.T) {
			file := strings.ReplaceAll(name, " ", "-") + ".txt"
			write(t, m.path(file), "first line\n")
			must(t, os.Chmod(m.path(file), 0o640))
			vim(t, file, settings...)
			vim(t, file, settings...)
			want := "first line\nadded by vim\nadded by vim\n"
			wantContent(t, s.local(file), want)
			wantContent(t, m.path(file), want)
			if mode := lstat(t, m.path(file)).Mode & 0o7777; mode != 0o640 {
				t.Errorf("the mode is %o after vim, was 640", mode)
			}
			if exists(s.local("." + file + ".swp")) {
				t.Error("vim's swap file is left on the server")
			}
		})
	}
	vim(t, "new file")
	wantContent(t, s.local("new file"), "\nadded by vim\n")
}

// Many programs write at the same time, each its own file, and some the same one in places of their own.
func TestRaceParallelWriters(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	m := s.mount()
	const writers, pieces = 8, 6
	write(t, s.local("common"), "")
	var all []*background
	for i := range writers {
		piece := filepath.Join(testDir(t, "piece"), "piece")
		write(t, piece, string(pseudoRandom(uint64(i), 1<<20)))
		all = append(all, start(t, m.point, nil, "sh", "-euc", fmt.Sprintf(`
			for n in 1 2 3 4 5 6; do
				cp "$1" own-%d-$n
				cmp "$1" own-%d-$n
			done
			dd if="$1" of=common bs=64k seek=%d conv=notrunc status=none
		`, i, i, i*16), "sh", piece))
	}
	for _, w := range all {
		w.wait(t)
	}
	var whole strings.Builder
	for i := range writers {
		content := string(pseudoRandom(uint64(i), 1<<20))
		whole.WriteString(content)
		for n := 1; n <= pieces; n++ {
			wantContent(t, s.local(fmt.Sprintf("own-%d-%d", i, n)), content)
		}
	}
	wantContent(t, s.local("common"), whole.String())
	wantContent(t, m.path("common"), whole.String())
}
