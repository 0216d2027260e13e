package main

import (
	"cmp"
	"context"
	"errors"
	"time"

	"sshmount/cmd/sshmount/control"
)

const (
	// lastPatience is how long programs may go on using a mount that a signal has
	// ended, before it is closed under them.
	lastPatience = 5 * time.Second
	// detachPatience is how long somebody who asked for a detached mount waits for its end.
	detachPatience = time.Second
	// closePatience is how long it may take to send the rest of requests that are half sent, whose answers nobody waits for.
	closePatience = 2 * time.Second
	// triedAge is how long after a save a line that was given up is not tried again: ending a mount saves twice, with little time
	// between.
	triedAge = 10 * time.Second
	// noticePatience is how long the kernel may take for the notices that it is being sent, when no program waits for the line any more.
	noticePatience = 5 * time.Second
	// hurryPatience replaces lastPatience and closePatience when a signal has come while the mount was ending. It is enough for what is
	// nearly done.
	hurryPatience = 200 * time.Millisecond
)

// serveUntilEnded serves until the mount has ended, whoever has ended it, and returns the exit status.
func (m *mount) serveUntilEnded() int {
	for {
		select {
		case <-m.gone:
			m.log.Info("the mount was ended")
			return m.recordEnd(m.finish(nil, nil, m.set.DrainTimeout))
		case s := <-m.signals:
			m.log.Info("ending the mount", "signal", s.String())
			outcome, _ := m.end(umountWish{force: true})
			return m.recordEnd(outcome)
		case w := <-m.wishes:
			outcome, ended := m.end(w)
			w.reply(outcome)
			m.replyToLater(outcome)
			if ended {
				return m.recordEnd(outcome)
			}
		}
	}
}

// recordEnd logs how the mount has ended, tells all who wait for that, closes the control socket, and returns the exit status.
func (m *mount) recordEnd(o control.Outcome) int {
	for _, r := range o.Rescued {
		m.log.Error("not saved on the server, but here", "rescued", r)
	}
	code := exitOK
	switch {
	case o.Unsaved:
		m.log.Error("ended, and not all is saved", "error", cmp.Or(o.Error, "what went wrong was told before"))
		code = exitUnsaved
	case o.Error != "":
		m.log.Warn("ended", "error", o.Error)
	default:
		m.log.Info("ended, and all is saved")
	}
	m.outcome = o
	close(m.over) // before the socket closes: that waits until all have their answers
	if m.control != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		m.control.Close(ctx)
	}
	return code
}

// end saves what is unsaved while programs still see the mount, ends the
// mount, and finishes. ended is false where the mount is in use and stays.
func (m *mount) end(w umountWish) (outcome control.Outcome, ended bool) {
	timeout := m.timeoutFor(w)
	deadline := time.Now().Add(timeout)
	failed, late := m.drain(timeout, nil)
	for _, l := range m.later {
		w.lazy = w.lazy || l.lazy
		if !l.until.IsZero() && l.until.Before(deadline) {
			deadline = l.until
		}
	}
	w.force = w.force || m.hurry // a signal that came meanwhile is the wish for an end at any cost
	fate, answer := m.takeAway(w, failed, late)
	switch fate {
	case stays:
		return answer, false
	case dead:
		return m.finish(failed, late, time.Until(deadline)), true
	}
	if m.await(w, failed, late) {
		deadline = time.Now().Add(m.set.DrainTimeout) // programs went on writing for as long as they liked
	}
	return m.finish(failed, late, time.Until(deadline)), true
}

// await waits for the kernel to let go of the mount. Programs that have files of a
// detached mount open may go on until they close them, but not after a signal.
// Whoever asks for the end meanwhile is answered when everything is saved that was
// written by then. inPeace says that programs were left to close their files.
func (m *mount) await(w umountWish, failed, late error) (inPeace bool) {
	patience := detachPatience
	if w.force {
		patience = lastPatience
	}
	select { // most mounts are gone at once
	case <-m.gone:
		return false
	case <-time.After(m.patience(patience)):
	case <-m.signals:
		m.hurry = true
	}
	for !w.force && !m.hurry { // programs are left in peace; each wish is answered, and the next one waited for
		o := control.Outcome{Detached: true, Error: oneLine(failed, late), Unsaved: failed != nil}
		w.reply(o)
		m.replyToLater(o)
		select {
		case <-m.gone:
			return true
		case <-m.signals:
			m.hurry = true
		case w = <-m.wishes:
			failed, late = m.drain(m.timeoutFor(w), nil)
		}
	}
	m.log.Warn("programs still have files of the mount open; they get errors from now on")
	return false
}

// finish is the last step, when no program can write any more: it drains, writes rescue
// files for what could not be delivered, and closes the connection. earlier is what
// has failed before and was reported to nobody yet. waited is the late of an earlier
// drain.
func (m *mount) finish(earlier, waited error, timeout time.Duration) control.Outcome {
	failed, late := m.drain(timeout, waited)
	closed := m.closeCache()
	err := errors.Join(earlier, failed, late, closed)
	rescued := m.cache.Status().Rescued
	m.closeConn()
	if !m.fuse.EndNotices(noticePatience) {
		m.log.Warn("programs that use the mount may hang: the kernel is still busy with what it was told")
	}
	m.dialer.Forget()
	return control.Outcome{Error: oneLine(earlier, failed, late, closed), Unsaved: err != nil || len(rescued) > 0, Rescued: rescued}
}

// patience is d, or hurryPatience where a signal has come meanwhile.
func (m *mount) patience(d time.Duration) time.Duration {
	if m.hurry {
		return hurryPatience
	}
	return d
}

func (m *mount) closeConn() {
	if err := m.conn.Close(); err != nil {
		m.log.Debug("closing the connection", "error", err)
	}
}

// closeCache gives up what is not saved: the bytes are written to rescue files. A request that is half sent, to a server which takes no
// more, holds its bytes until the connection is closed; so where closing takes too long, it closes that first.
func (m *mount) closeCache() error {
	done := make(chan error, 1)
	go func() { done <- m.cache.Close() }()
	select {
	case err := <-done:
		return err
	case <-time.After(m.patience(closePatience)):
	case <-m.signals:
		m.hurry = true
		select {
		case err := <-done:
			return err
		case <-time.After(hurryPatience):
		}
	}
	if m.unsaved() {
		m.log.Warn("what is on its way to the server is not waited for any longer; the connection is closed", "unsaved", m.toGo())
	}
	m.closeConn()
	return <-done
}

// drain waits until everything is saved, for timeout at most. It ends early when the
// line is given up (a line that was given up before is tried once more first), when a
// signal comes, or when the time of another wish is over that comes meanwhile and has
// a shorter one.
//
// failed is what went wrong with bytes and operations. late says that some are still
// unsaved, and why. waited is the late of an earlier drain, or nil: where no time is
// left for this one, its reason is repeated.
func (m *mount) drain(timeout time.Duration, waited error) (failed, late error) {
	ctx, cancel := m.drainTime(timeout, waited)
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	type outcome struct{ err, cause error }
	done := make(chan outcome, 1)
	try := time.Since(m.tried) > triedAge
	go func() {
		err, cause := m.save(ctx, try)
		done <- outcome{err, cause}
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	said := ""
	for {
		select {
		case o := <-done:
			m.tried = time.Now()
			left := ""
			if m.unsaved() {
				left = m.toGo()
			}
			return drained(o.err, o.cause, left)
		case <-tick.C:
			if now := m.toGo(); now != said { // without a line it stays the same for minutes
				m.log.Info("saving", "still", now)
				said = now
			}
		case s := <-m.signals:
			m.hurry = true
			m.log.Info("not waiting any longer", "signal", s.String())
			stop(errHurried)
		case w := <-m.wishes:
			if w.timeout != 0 {
				w.until = time.Now().Add(w.timeout)
				defer time.AfterFunc(w.timeout, func() { stop(timeOver(w.timeout)) }).Stop()
			}
			m.later = append(m.later, w)
		}
	}
}

// drainTime makes the context of a drain, whose cause says why the drain was cut short.
func (m *mount) drainTime(timeout time.Duration, waited error) (context.Context, context.CancelFunc) {
	over := timeOver(timeout)
	switch {
	case m.hurry:
		timeout, over = 0, errHurried
	case timeout <= 0 && waited != nil:
		over = errors.Unwrap(waited)
	}
	return context.WithTimeoutCause(context.Background(), max(timeout, 0), over)
}

// unsaved reports whether anything is unsaved.
func (m *mount) unsaved() bool {
	st := m.cache.Status()
	return st.UnsavedBytes > 0 || st.UnsavedOps > 0
}

func (m *mount) toGo() string {
	st := m.cache.Status()
	return control.ToGo(st.UnsavedCount, st.UnsavedBytes, st.UnsavedOps)
}
