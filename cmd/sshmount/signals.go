package main

import (
	"context"
	"os"
	"os/signal"
	"slices"
	"syscall"
)

// heeded returns those of the signals that are not ignored: nohup has its program ignore SIGHUP, and a shell has programs in the
// background ignore SIGINT. To ask for such a signal would end that, also for programs that are started from here. The runtime
// keeps only these two ignored. So with SIGTERM among the signals the list is never empty, which would mean all signals to
// signal.Notify.
func heeded(signals ...os.Signal) []os.Signal {
	return slices.DeleteFunc(signals, signal.Ignored)
}

// outliveReaders makes a write to a standard stream that nobody reads any more an error like any other. Without it the runtime
// ends the process, and what is unsaved is lost: a mount in the foreground whose output goes through tee loses that reader to
// the same Ctrl-C by which it is ended. It does not ignore SIGPIPE, because programs that are started from here would inherit that.
func outliveReaders() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

// startInterruptibly is start, but the first signal breaks it off. Where the mount was made by then, interrupted says that it is to be
// ended.
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
