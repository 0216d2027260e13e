package main

import (
	"context"
	"fmt"
	"runtime"

	"sshmount/cmd/sshmount/control"
)

// The server of the control socket calls these.
var _ control.Backend = (*mount)(nil)

// Status is the status of the mount, without the record, which the socket's server adds.
func (m *mount) Status() control.Status {
	s := control.Tell(m.conn.Status(), m.cache.Status())
	s.Async = m.set.Cache.Async
	select {
	case <-m.gone:
		s.Ending = true
	default:
		s.Detached = m.fuse.Detached()
	}
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	s.Process = control.Process{HeapBytes: mem.HeapAlloc, Goroutines: runtime.NumGoroutine()}
	return s
}

// Sync waits until everything is saved, as long as ctx lasts, and returns the errors that were not reported yet.
func (m *mount) Sync(ctx context.Context) error {
	err, cause := m.save(ctx, true)
	if err != nil && cause != nil {
		return fmt.Errorf("%s not saved: %w", m.toGo(), cause)
	}
	return err
}

// save waits until everything is saved. err is what went wrong. cause is why the wait was cut short: ctx has ended, or the line was given
// up; nil where it was not. With try, and something unsaved, a line that was given up before is tried once more first.
func (m *mount) save(ctx context.Context, try bool) (err, cause error) {
	if try && m.unsaved() {
		m.conn.LastTry(ctx)
	}
	ctx, release := m.conn.Bounded(ctx)
	defer release()
	err = m.cache.Sync(ctx)
	return err, context.Cause(ctx)
}

// Umount has the mount ended by the goroutine that serves it, and returns the outcome. Where that is ending it already, for a signal or
// for somebody else, it returns the outcome of that.
func (m *mount) Umount(ctx context.Context, wish control.UmountRequest) control.Outcome {
	w := umountWish{lazy: wish.Lazy, timeout: wish.Timeout, answer: make(chan control.Outcome, 1)}
	select {
	case m.wishes <- w:
	case <-m.over:
		return m.outcome
	case <-ctx.Done():
		return control.Outcome{Error: context.Cause(ctx).Error()}
	}
	select {
	case o := <-w.answer:
		return o
	case <-m.over:
		return m.outcome
	}
}

// Kick has the line looked after at once (sftpconn.Conn.Kick).
func (m *mount) Kick() { m.conn.Kick() }
