package main

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"unicode"
)

// What a server says is in errors before its host key is looked at.
func TestNothingOfAServersReachesTheTerminalRaw(t *testing.T) {
	hostile := "refused: \x1b[2J\u009b31m\aby it"
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr := os.Stderr
	os.Stderr = w
	report(errors.New(hostile))
	say("not saved: %s", hostile)
	os.Stderr = stderr
	slog.New(&spoken{w: w, hushed: make(chan struct{})}).Warn(hostile, "cause", hostile)
	w.Close()
	said, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(said), "\n"), "\n")
	if !strings.HasPrefix(lines[len(lines)-1], "sshmount: warning: ") {
		t.Errorf("a warning is said as %q", lines[len(lines)-1])
	}
	if len(lines) != 3 {
		t.Errorf("not three lines: %q", lines)
	}
	for _, l := range lines {
		if !strings.HasPrefix(l, "sshmount: ") || !strings.Contains(l, "by it") || strings.ContainsFunc(l, unicode.IsControl) {
			t.Errorf("%q", l)
		}
	}
}
