package main

import (
	"strings"
	"testing"
	"time"
)

// Of what was given up nobody knows how long it would have taken.
func TestAWorkThatWasGivenUpMeetsNoGoal(t *testing.T) {
	const work = "200 random reads of 4 KiB"
	const rtt = 150 * time.Millisecond
	for _, cut := range []bool{false, true} {
		table := &table{
			profiles: []*profile{{name: "150 ms", rtt: rtt, rate: 125e6}},
			works:    allWorks(),
			samples:  []sample{{Profile: "150 ms", Work: work, Peer: nameMount, Elapsed: 200 * rtt * 2 / 3, Cut: cut}},
		}
		var report strings.Builder
		table.goals(&report)
		met := "0 of 1 met"
		if !cut {
			met = "1 of 1 met"
		}
		if got := report.String(); !strings.Contains(got, met) || strings.Contains(got, "given up") != cut {
			t.Errorf("cut %v: %s", cut, got)
		}
	}
}
