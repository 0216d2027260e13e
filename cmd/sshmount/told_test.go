package main

import (
	"log/slog"
	"strings"
	"testing"

	"sshmount/cmd/sshmount/control"
)

// No error is left to tell where all were told before, as to `sshmount sync`.
func TestTheLastLineOfTheLogSaysWhereTheErrorsWereTold(t *testing.T) {
	for o, want := range map[*control.Outcome]string{
		{Unsaved: true, Error: "disk full"}: "disk full",
		{Unsaved: true}:                     "told before",
	} {
		var log strings.Builder
		m := &mount{log: slog.New(slog.NewTextHandler(&log, nil)), over: make(chan struct{})}
		if code := m.recordEnd(*o); code != exitUnsaved || !strings.Contains(log.String(), "not all is saved") || !strings.Contains(log.String(), want) {
			t.Errorf("it ends with %d, and the log has:\n%s", code, log.String())
		}
	}
}
