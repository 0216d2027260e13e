package main

import (
	"strings"
	"testing"
)

func TestTheHelpOfACompletionSaysHowTheShellGetsIt(t *testing.T) {
	w := &world{t: t, dir: t.TempDir()}
	for shell, words := range map[string][]string{
		"bash": {"bash-completion", "every new session"},
		"zsh":  {"compinit", "every new session"},
		"fish": {"every new session"},
	} {
		w.want(exitOK, words, "completion", shell, "--help")
	}
}

func TestTheDescriptionOfAFlagIsPlainInCompletions(t *testing.T) {
	w := &world{t: t, dir: t.TempDir()}
	if out := w.want(exitOK, []string{"--timeout"}, "__complete", "umount", "--"); strings.Contains(out, "`") {
		t.Errorf("there are backquotes in it:\n%s", out)
	}
	w.want(exitOK, []string{"--timeout seconds"}, "umount", "--help")
}

func TestAWrongFlagOfACommandIsToldWhereTheRightOnesAre(t *testing.T) {
	w := &world{t: t, dir: t.TempDir()}
	w.want(exitUsage, []string{"--timout", "sshmount umount --help"}, "umount", "--timout", "3", "/mnt")
	w.want(exitUsage, []string{"--timeout", `"x"`, "seconds"}, "umount", "--timeout", "x", "/mnt")
}
