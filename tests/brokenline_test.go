package tests

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sshmount/tests/line"
)

// over puts a line between the program and the server, and returns it with the configuration by which "srv" is behind it.
func (s *server) over(t *testing.T, c line.Config) (*line.Line, string) {
	t.Helper()
	l, err := line.New(fmt.Sprintf("127.0.0.1:%d", s.port), c)
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l, s.clientConfig(fmt.Sprintf("ssh_config_line_%d", l.Port()), l.Port(), "")
}

// mountOver mounts through the line.
func (s *server) mountOver(t *testing.T, config string, options ...string) *mounted {
	t.Helper()
	return mountArgs(t, append([]string{"-F", config, s.remote(), mountPoint(t)}, options...), nil)
}

// fault is a way in which a line breaks, and how it comes back.
type fault struct {
	name string
	do   func(s *server, l *line.Line)
	undo func(s *server, l *line.Line)
}

func nothing(*server, *line.Line) {}

var faults = []fault{
	{"reset", func(_ *server, l *line.Line) { l.Reset() }, nothing},
	{"session killed", func(s *server, _ *line.Line) { s.sshd.KillSessions() }, nothing},
	{"black hole", func(_ *server, l *line.Line) { l.BlackHole() }, func(_ *server, l *line.Line) { _ = l.Resume() }},
}

// aliveOptions have silence noticed soon, so that tests of it don't last.
var aliveOptions = []string{"-o", "ServerAliveInterval=1,ServerAliveCountMax=2"}

// breakWhile breaks the line twice while work goes on, and lets it come back after a moment.
func breakWhile(t *testing.T, s *server, l *line.Line, f fault, working func() bool) {
	t.Helper()
	for range 2 {
		// In the middle of the work, by what the line has carried.
		before := l.Stats()
		eventually(t, 60*time.Second, "the work is under way", func() (bool, string) {
			now := l.Stats()
			return !working() || now.BytesUp+now.BytesDown > before.BytesUp+before.BytesDown+300_000, fmt.Sprint(now)
		})
		f.do(s, l)
		time.Sleep(300 * time.Millisecond)
		f.undo(s, l)
	}
}

// resetAgainAndAgain resets the line whenever it has carried so many bytes more; a login takes about 5,000.
// stop ends it and says how often it was.
func resetAgainAndAgain(l *line.Line, more int64) (stop func() int) {
	end := make(chan struct{})
	ended := make(chan int)
	go func() {
		resets := 0
		before := l.Stats()
		for {
			select {
			case <-end:
				ended <- resets
				return
			case <-time.After(20 * time.Millisecond):
			}
			if now := l.Stats(); now.BytesUp+now.BytesDown > before.BytesUp+before.BytesDown+more {
				l.Reset()
				before = l.Stats()
				resets++
			}
		}
	}()
	return func() int {
		close(end)
		return <-ended
	}
}

func TestRaceReadOverABreakingLine(t *testing.T) {
	t.Parallel()
	onlySshmount(t)
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			content := string(pseudoRandom(1, 24<<20))
			write(t, s.local("f"), content)
			l, config := s.over(t, line.Config{Delay: 2 * time.Millisecond, BytesPerSecond: 12 << 20})
			m := s.mountOver(t, config, aliveOptions...)
			reader := start(t, "", nil, "cmp", m.path("f"), s.local("f"))
			breakWhile(t, s, l, f, reader.running)
			reader.wait(t)
		})
	}
}

func TestRaceWriteOverABreakingLine(t *testing.T) {
	t.Parallel()
	onlySshmount(t)
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			content := string(pseudoRandom(1, 24<<20))
			local := filepath.Join(testDir(t, "data"), "f")
			write(t, local, content)
			l, config := s.over(t, line.Config{Delay: 2 * time.Millisecond, BytesPerSecond: 12 << 20})
			m := s.mountOver(t, config, aliveOptions...)
			writer := start(t, "", nil, "dd", "if="+local, "of="+m.path("f"), "bs=64k", "conv=fsync", "status=none")
			breakWhile(t, s, l, f, writer.running)
			writer.wait(t)
			wantContent(t, s.local("f"), content)
		})
	}
}

func TestRaceUntarOverABreakingLine(t *testing.T) {
	t.Parallel()
	onlySshmount(t)
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			source := filepath.Join(testDir(t, "tree"), "source")
			makeTree(t, source, 80)
			l, config := s.over(t, line.Config{Delay: 2 * time.Millisecond, BytesPerSecond: 4 << 20})
			m := s.mountOver(t, config, aliveOptions...)
			must(t, os.Mkdir(m.path("tree"), 0o755))
			tar := start(t, "", nil, "sh", "-euc", `tar -C "$1" -cf - . | tar -C "$2" -xpf -`, "sh", source, m.path("tree"))
			breakWhile(t, s, l, f, tar.running)
			if out := tar.wait(t); out != "" {
				t.Errorf("tar says:\n%s", out)
			}
			sameTrees(t, s.local("tree"), source, whatOf{modes: true, times: true})
		})
	}
}

func TestRaceDatabaseOverABreakingLine(t *testing.T) {
	t.Parallel()
	onlySshmount(t)
	s := newServer(t)
	l, config := s.over(t, line.Config{Delay: time.Millisecond})
	m := s.mountOver(t, config, aliveOptions...)
	run(t, "", "sqlite3", m.path("db"), "create table x(n integer, blob text);")
	const rows = 60
	var script strings.Builder
	for i := range rows {
		fmt.Fprintf(&script, "begin immediate; insert into x values(%d, hex(randomblob(4000))); commit;\n", i)
	}
	file := filepath.Join(testDir(t, "sql"), "script")
	write(t, file, script.String())
	writer := start(t, "", nil, "sqlite3", "-bail", m.path("db"), ".read "+file)
	breakWhile(t, s, l, faults[0], writer.running)
	writer.wait(t)
	if out := run(t, "", "sqlite3", s.local("db"), "pragma integrity_check; select count(distinct n) from x;"); out != fmt.Sprintf("ok\n%d\n", rows) {
		t.Errorf("on the server: %q", out)
	}
}

// The server's directory tree is walked while the connection is reset again and again.
func TestRaceWalkOverABreakingLine(t *testing.T) {
	t.Parallel()
	onlySshmount(t)
	s := newServer(t)
	makeTree(t, s.local("tree"), 200)
	l, config := s.over(t, line.Config{Delay: 2 * time.Millisecond})
	m := s.mountOver(t, config, append(aliveOptions, "-o", "dcache_timeout=1,attr_timeout=0,entry_timeout=0")...)
	stop := resetAgainAndAgain(l, 1_500_000)
	for range 3 {
		sameTrees(t, m.path("tree"), s.local("tree"), whatOf{modes: true, times: true})
	}
	if resets := stop(); resets < 2 {
		t.Errorf("the line was reset %d times only", resets)
	}
}

// Names made, renamed and removed while the line breaks: each operation succeeds, and the server has just what it should.
func TestRaceNamesOverABreakingLine(t *testing.T) {
	t.Parallel()
	onlySshmount(t)
	s := newServer(t)
	l, config := s.over(t, line.Config{Delay: time.Millisecond})
	m := s.mountOver(t, config, aliveOptions...)
	stop := resetAgainAndAgain(l, 15_000)
	var want bytes.Buffer
	for i := range 60 {
		d := m.path(fmt.Sprintf("d%02d", i))
		must(t, os.Mkdir(d, 0o755))
		must(t, os.Symlink("target", d+"/link"))
		write(t, d+"/f", "content")
		must(t, os.Rename(d+"/f", d+"/g"))
		must(t, os.Chmod(d+"/g", 0o600))
		must(t, os.Remove(d+"/link"))
		if i%2 == 0 {
			must(t, os.Remove(d+"/g"))
			must(t, os.Remove(d))
			continue
		}
		fmt.Fprintf(&want, "./d%02d\n./d%02d/g\n", i, i)
	}
	if resets := stop(); resets < 2 {
		t.Errorf("the line was reset %d times only", resets)
	}
	if got := run(t, s.root, "sh", "-c", "find . -mindepth 1 | sort"); got != want.String() {
		t.Errorf("the server has:\n%s\nwant:\n%s", got, want.String())
	}
}
