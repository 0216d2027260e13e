package sshdial

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLinesOfKnownHostsAreReadAsOpenSSHDoes(t *testing.T) {
	dir := t.TempDir()
	key, other := keygen(t, dir, "user", "ed25519", ""), keygen(t, dir, "other", "ed25519", "")
	s := startServer(t, []string{key})
	host := fmt.Sprintf("[127.0.0.1]:%d", s.port)
	right, wrong := publicPart(t, s.hostKey), publicPart(t, other)
	tabs := func(line string) string { return strings.ReplaceAll(line, " ", "\t") }
	knownHosts := func(lines ...string) Options {
		o := s.options(t, key)
		o.SSHOptions = append([]string{"StrictHostKeyChecking=yes", "UserKnownHostsFile=" + knownAs(t, lines...)}, o.SSHOptions...)
		return o
	}
	t.Run("tabs", func(t *testing.T) { dial(t, knownHosts(tabs(host+" "+right))) })
	for name, line := range map[string]string{"blanks": "@revoked * " + right, "tabs": tabs("@revoked * " + right)} {
		t.Run("revoked with "+name, func(t *testing.T) {
			msg, _ := refused(t, knownHosts(line, host+" "+right))
			says(t, msg, "revoked")
		})
	}
	for name, line := range map[string]string{
		"a lone negation":       "! " + wrong,
		"an open bracket":       "[127.0.0.1 " + wrong,
		"another kind of hash":  "|2|AAAA|AAAA " + wrong,
		"too few parts of hash": "|1|AAAA " + wrong,
		"an unknown marker":     "@maybe * " + wrong,
	} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			o := knownHosts("# before", line, line, host+" "+right)
			o.Logger = logTo(&log)
			dial(t, o)
			for _, number := range []string{"line=2", "line=3"} {
				says(t, log.String(), "left out", number, "known_hosts")
			}
		})
	}
	t.Run("a very long line", func(t *testing.T) { dial(t, knownHosts(host+" "+right+" "+strings.Repeat("x", 1<<17), host+" "+right)) })
	t.Run("the numbers stay", func(t *testing.T) {
		o := knownHosts("! "+wrong, "nonsense", "! "+wrong, host+" "+wrong)
		msg, _ := refused(t, o)
		says(t, msg, "known_hosts:4 has ")
	})
}

func TestTheLineThatIsLeftOutIsOfTheFileThatIsNamed(t *testing.T) {
	dir := t.TempDir()
	near, far := filepath.Join(dir, "known"), filepath.Join(dir, "root", dir, "known") // one path ends like the other
	for _, path := range []string{near, far} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("a line\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files := []*knownFile{{near, near}, {far, far}}
	t.Cleanup(func() {
		for _, f := range files {
			f.forget()
		}
	})
	if err := leaveOut(files, fmt.Errorf("knownhosts: %s:1: odd", far), slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"a line\n", "\n"} {
		got, err := os.ReadFile(files[i].read)
		if err != nil || string(got) != want {
			t.Errorf("of %s %q is left: %v", files[i].name, got, err)
		}
	}
}
