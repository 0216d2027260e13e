package main

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"sshmount/cmd/sshmount/control"
)

// As `sshmount umount` of a shutdown beside the one of a user who gave it an hour.
func TestWhoGivesNoTimeWaitsAsLongAsTheEndThatIsUnderWay(t *testing.T) {
	w, r := unsavedBehindABrokenLine(t, "drain_timeout=1")
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	waits := make(chan struct{})
	first := make(chan control.Outcome, 1)
	go func() {
		var once sync.Once
		o, err := control.Connect(r).Umount(ctx, control.UmountRequest{Timeout: 3 * time.Second}, func(control.Progress) { once.Do(func() { close(waits) }) })
		if err != nil {
			o.Error = err.Error()
		}
		first <- o
	}()
	<-waits
	o, err := control.Connect(r).Umount(ctx, control.UmountRequest{}, func(control.Progress) {})
	if err != nil {
		o.Error = err.Error()
	}
	for who, o := range map[string]control.Outcome{"first": <-first, "then": o} {
		if !o.Unsaved || !strings.Contains(o.Error, "not saved: time is over (3s)") {
			t.Errorf("who asked %s is told %+v", who, o)
		}
	}
	w.ended(r)
}
