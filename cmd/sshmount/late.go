package main

import (
	"errors"
	"fmt"
	"time"
)

// errHurried is the cause where a second signal has ended the waiting.
var errHurried = errors.New("a signal came while it was ending")

// timeOver is the cause of an end of waiting after that long.
func timeOver(after time.Duration) error {
	return fmt.Errorf("time is over (%v)", after.Round(time.Second))
}

// drained tells what became of a wait that ended with err: its own end, for cause, is late where something is left; anything else is what
// was lost, and told to nobody before, also where the wait had been ended by then.
func drained(err, cause error, left string) (failed, late error) {
	if err == nil || cause == nil || !errors.Is(err, cause) {
		return err, nil
	}
	if left != "" {
		late = fmt.Errorf("%s not saved: %w", left, cause)
	}
	return nil, late
}
