package main

import (
	"context"
	"fmt"
	"runtime"

	"sshmount/cmd/sshmount/control"
)

// The control socket asks the mount by these.
var _ control.Backend = (*mount)(nil)

// Status tells of the mount; the socket's server adds the record.
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

// Sync waits until everything is saved, as long as the asker does.
func (m *mount) Sync(ctx context.Context) error {
	err, cause := m.save(ctx, true)
	if err != nil && cause != nil {
		return fmt.Errorf("%s not saved: %w", m.toGo(), cause)
	}
	return err
}

// save waits until everything is saved. err is what went wrong; cause is nil, or why the wait was cut short: ctx ended, or the line
// was given up. A line that was given up before may be back: with try, and something unsaved, one more attempt is made first.
func (m *mount) save(ctx context.Context, try bool) (err, cause error) {
	if try && m.unsaved() {
		m.conn.LastTry(ctx)
	}
	ctx, release := m.conn.Bounded(ctx)
	defer release()
	err = m.cache.Sync(ctx)
	return err, context.Cause(ctx)
}

// Umount has the mount ended by the goroutine that serves it. Where that is at it already, for a signal or somebody else, the
// answer is how that went.
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

// Kick has the line tried at once.
func (m *mount) Kick() { m.conn.Kick() }
