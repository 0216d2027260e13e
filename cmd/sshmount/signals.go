package main

import (
	"context"
	"os"
	"os/signal"
	"slices"
	"syscall"
)

// heeded are those of the signals that whoever started the program has not had it ignore: nohup does so with SIGHUP, and a
// shell with SIGINT for what it runs in the background. To ask for a signal would end that, for the programs started from
// here too. The runtime keeps only these two ignored, so with SIGTERM among the signals the list is never empty, which
// would stand for all.
func heeded(signals ...os.Signal) []os.Signal {
	return slices.DeleteFunc(signals, signal.Ignored)
}

// outliveReaders has a write to a standard stream that nobody reads any more be an error like any other, until the process
// ends. The runtime ends the process at it otherwise, and what is unsaved with it: a mount in the foreground whose output goes
// through tee loses that reader to the same Ctrl-C. Not signal.Ignore, which the programs started from here would inherit.
func outliveReaders() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

// startInterruptibly gives the login up at the first signal. interrupted says of a mount that came about all the same, as it was made
// by then, that it is to be ended.
func (m *mount) startInterruptibly(signals <-chan os.Signal) (interrupted bool, err error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	started := make(chan error, 1)
	go func() { started <- m.start(ctx) }()
	for {
		select {
		case err := <-started:
			interrupted := context.Cause(ctx) == errInterrupted
			if interrupted && err != nil {
				err = errInterrupted
			}
			return interrupted, err
		case <-signals:
			cancel(errInterrupted)
		}
	}
}
