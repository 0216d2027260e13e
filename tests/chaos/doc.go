// Package chaos lets programs work on a mount while its line breaks, and looks whether
// anybody noticed.
//
// A Rig is a server of its own, a line to it and a mount over that line. A round on it
// starts works (a sequential read, a clone with git, a database…), lets a fault happen at
// a random moment while they run, and has each work compare what it read, and what is on
// the server afterwards, with what must be there. A work that gets an error, sees a wrong
// byte or takes longer than the outage excuses has failed.
//
// Everything random comes from the round's seed, but the moment at which a fault meets a
// request depends on the machine: a seed makes a failure likely to come again, no more.
package chaos

import (
	"fmt"
	"time"
)

// Result is how one work fared under one fault.
type Result struct {
	Fault, Work string
	Seed        uint64
	Outage      time.Duration
	Answered    time.Duration // from the beginning of the fault to the first answer after its end
	Took        time.Duration // from the beginning of the fault to the end of the work
	Err         error         // nil: nobody noticed
}

func (r Result) String() string {
	verdict := "fine"
	if r.Err != nil {
		verdict = "FAILED: " + r.Err.Error()
	}
	return fmt.Sprintf("%-14s %-11s seed %-20d outage %4.1fs, answer after %4.1fs, ended %5.1fs after the fault: %s",
		r.Fault, r.Work, r.Seed, r.Outage.Seconds(), r.Answered.Seconds(), r.Took.Seconds(), verdict)
}
