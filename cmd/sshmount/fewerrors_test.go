package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"sshmount/cache"
)

func TestTheEndTellsAFewErrorsAndHowManyThereAre(t *testing.T) {
	var refused []error
	for i := range 100 {
		refused = append(refused, fmt.Errorf("create \"/some/directory/%d\": permission denied", i))
	}
	late := errors.New("not saved: 3 files")
	for more, want := range map[error]string{nil: "and 95 more: see the log", cache.MoreErrors(200): "and 295 more: see the log"} {
		line := oneLine(nil, errors.Join(append(refused, more)...), late)
		if len(line) > 500 || !strings.Contains(line, refused[0].Error()+"; "+refused[1].Error()) || !strings.HasSuffix(line, "; "+want+"; not saved: 3 files") {
			t.Errorf("%d bytes: %s", len(line), line)
		}
	}
	if got := oneLine(errors.Join(refused[:6]...)); strings.Contains(got, "more") || !strings.Contains(got, "/5\"") {
		t.Errorf("of six: %s", got)
	}
}
