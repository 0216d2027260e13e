package main

import (
	"context"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"
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

// echoTime is how long after a signal another one says nothing new. timeout(1) sends its signal to the program and then to the group in
// which that runs, and a script that passes on what it gets does so beside the terminal, which sends Ctrl-C to both. Only one that comes
// later is the wish to wait no longer.
const echoTime = 300 * time.Millisecond

// withoutEchoes passes on signals, but for those that come within echoTime of one that was passed on, until done is closed. heard says that
// one was heeded just now.
func withoutEchoes(signals <-chan os.Signal, heard bool, done <-chan struct{}) <-chan os.Signal {
	wishes := make(chan os.Signal, cap(signals))
	var last time.Time
	if heard {
		last = time.Now()
	}
	go func() {
		for {
			select {
			case s := <-signals:
				if time.Since(last) < echoTime {
					continue
				}
				last = time.Now()
				select {
				case wishes <- s:
				default: // as many wait already, and more say nothing new
				}
			case <-done:
				return
			}
		}
	}()
	return wishes
}

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
			select {
			case <-signals: // who asks for a password may have seen it earlier, and have ended the start
				cancel(errInterrupted)
			default:
			}
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
