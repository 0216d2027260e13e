package main

import (
	"errors"
	"fmt"
	"time"
)

// errHurried is the reason why a wait has ended for a second signal.
var errHurried = errors.New("a signal came while it was ending")

// timeOver is the reason why a wait has ended after that time.
func timeOver(after time.Duration) error {
	return fmt.Errorf("time is over (%v)", after.Round(time.Second))
}

// drained sorts the outcome of a save that was cut short for cause, or by nothing (nil). Where err is only that cause, it is late if
// something is left, which left describes. Any other error is what was lost and reported to nobody yet, also where the wait was cut short.
func drained(err, cause error, left string) (failed, late error) {
	if err == nil || cause == nil || !errors.Is(err, cause) {
		return err, nil
	}
	if left != "" {
		late = fmt.Errorf("%s not saved: %w", left, cause)
	}
	return nil, late
}
