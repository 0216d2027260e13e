package sftpconn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"time"

	"sshmount/sftpconn/session"
)

const (
	// reopenTries is how often a reopening is begun anew because the file changes meanwhile.
	reopenTries = 5

	// renameLag is how long it may take after a rename was answered until OpenRequest.Path returns the new path.
	renameLag = time.Second

	// absentPatience is how long a missing directory is waited for where ReconnectTimeout
	// sets no limit: the line is up then, and the directory may be gone for good.
	absentPatience = 2 * time.Minute

	// emptyPatience is how long an empty directory is waited for: a file system may be mounted on it a little later, or the file was
	// its last one and has been removed.
	emptyPatience = 30 * time.Second
)

// reopen begins to open the file anew, on the channel of names of the present connection.
func (f *File) reopen(ctx context.Context) (*handle, error) {
	ch, err := f.c.channel(ctx)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if h := f.handles[ch]; h.fits(f.main()) {
		return h, nil
	}
	return f.begin(ch, true, func(h *handle) (string, error) { return f.find(h.ch) }), nil
}

// runOpening runs open, and notes the result in h.
func (f *File) runOpening(h *handle, open func(h *handle) (string, error)) {
	id, err := open(h)
	if errors.Is(err, ErrStale) {
		f.c.o.Logger.Warn("an open file could not be found again after the connection was lost", "path", f.r.Path(), "cause", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	h.id, h.err = id, err
	if errors.Is(err, ErrStale) && f.stale == nil {
		f.stale = err
	}
	if err == nil && f.closed {
		h.ch.s.CloseHandle(id)
		h.err = ErrClosed
	}
	close(h.done)
	f.giveBack(h)
	f.admit(reading)
	f.admit(writing)
}

// find opens the file by its present path, which must lead to the same file as
// before. Where it is certain that it does not, the error is ErrStale. A server that
// has just started may answer before the file system with the file is mounted, or
// before it gives access to it: errors that may come of that are tried again for a while.
func (f *File) find(ch *channel) (string, error) {
	var lagEnds time.Time // until when a rename that was done may become known here
	there := false        // the directory was found after the file had last been looked for in vain
	for tries := 0; ; {
		path := f.r.Path()
		if path == "" {
			return "", fmt.Errorf("%w: it was removed", ErrStale)
		}
		// A rename of the file itself may have been done without an answer yet, or answered
		// without the path having been changed here.
		was, err := f.c.waitOutDoubt(ch, path)
		if err != nil {
			return "", err
		}
		if was || lagEnds.IsZero() {
			lagEnds = time.Now().Add(renameLag)
		}
		exposed, patience := f.exposedEnd(), f.c.readyWithin()
		id, found, err := f.findAt(ch, path)
		switch {
		case err == nil && f.r.Path() != path:
			ch.s.CloseHandle(id) // of another file, which got the name after this one had lost it
			continue
		case err == nil:
			f.lookForLoss(exposed, found)
			return id, nil
		case isAbsent(err):
			if f.awaitRename(path, lagEnds) {
				continue
			}
			if there {
				return "", fmt.Errorf("%w: %w", ErrStale, err)
			}
			// The directory may have appeared between the two looks, and the file with it.
			var empty bool
			if there, empty = f.directoryThere(ch, path); there {
				continue
			}
			if empty {
				patience = min(patience, emptyPatience)
			}
		case status(err) != session.StatusPermissionDenied:
			return "", err
		}
		if time.Since(ch.since) > patience || !f.wanted() {
			if isAbsent(err) {
				err = fmt.Errorf("%w: its directory is not there either, or empty: %w", ErrStale, err)
			}
			return "", err
		}
		if tries++; tries == 1 {
			f.c.o.Logger.Warn("an open file cannot be found again yet; the server may not be ready", "path", path, "cause", err)
		}
		select {
		case <-time.After(spread(min(backoffFirst<<min(tries, 10), backoffWaiting))):
		case <-ch.s.Done():
		case <-f.c.ctx.Done():
		}
	}
}

// awaitRename waits until the file has another path than path, but no longer than until the time until, and reports whether it has.
func (f *File) awaitRename(path string, until time.Time) bool {
	for f.r.Path() == path && time.Now().Before(until) && f.c.ctx.Err() == nil {
		time.Sleep(10 * time.Millisecond)
	}
	return f.r.Path() != path
}

// readyWithin is how long a server may still be starting after a connection was made.
func (c *Conn) readyWithin() time.Duration {
	if c.o.ReconnectTimeout < 0 {
		return absentPatience
	}
	return c.o.ReconnectTimeout
}

// directoryThere reports whether the directory of an absent name exists and is not empty; empty, whether it exists and is.
func (f *File) directoryThere(ch *channel, name string) (there, empty bool) {
	dir := path.Dir(name)
	if ch.wait(f.c.ctx, ch.s.Stat(dir)) != nil {
		return false, false
	}
	empty = true
	err := f.c.list(f.c.ctx, ch, dir, func(names []Entry) error {
		if empty = len(names) == 0; !empty {
			return io.EOF // that is enough
		}
		return nil
	})
	if isAbsent(err) {
		return false, false // it went away between the two questions
	}
	empty = empty && err == nil
	return !empty, empty
}

// wanted reports whether the file is still open here.
func (f *File) wanted() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.closed
}

// findAt opens path if it is the file. First it looks at it, because the OPEN of a FIFO would
// block the channel; then come OPEN, and FSTAT, which must agree with the look and is returned.
func (f *File) findAt(ch *channel, path string) (string, Attr, error) {
	defer f.c.leave(&f.owing)
	for try := 1; ; try++ {
		look := f.c.owe(&f.owing, path, func() *session.Call { return f.lookUp(ch, path) })
		if err := ch.wait(f.c.ctx, look); err != nil {
			return "", Attr{}, err
		}
		before := look.Attr()
		if before = f.c.asOwed(&f.owing, before); !isRegular(before) {
			return "", Attr{}, fmt.Errorf("%w: %q is no regular file now", ErrStale, path)
		}
		if err := f.check(before); err != nil {
			return "", Attr{}, err
		}
		id, err := f.openAgain(ch, path, before)
		if err != nil {
			return "", Attr{}, err
		}
		stat := ch.s.Fstat(id)
		err = ch.wait(f.c.ctx, stat)
		if err == nil {
			after := stat.Attr()
			same := sameButBits(before, after)
			if !same && isRegular(after) && try >= reopenTries {
				// Somebody writes to it all the time.
				same = after.UID == before.UID && after.GID == before.GID
			}
			if same {
				if err = f.check(after); err == nil {
					return id, after, nil
				}
			}
		}
		ch.s.CloseHandle(id)
		if err != nil {
			return "", Attr{}, err
		}
		if try > reopenTries {
			return "", Attr{}, fmt.Errorf("%w: what has its name changes all the time", ErrStale)
		}
	}
}

func (f *File) check(a Attr) error {
	if f.r.Check == nil {
		return nil
	}
	err := f.r.Check(a)
	if err != nil && !errors.Is(err, ErrStale) {
		err = fmt.Errorf("%w: %w", ErrStale, err)
	}
	return err
}

// openAgain opens path in the mode in which the file was opened. A file that was made
// without the right to write to it (0444, as git makes its objects) can be opened for
// writing only by the OPEN that makes it. So it gets the right for the moment of the
// opening. Where the line breaks in that moment, the next reopening puts its bits back.
func (f *File) openAgain(ch *channel, path string, now Attr) (string, error) {
	id, err := openPath(ch, f.c.ctx, path, f.r.Pflags&^onlyOnce)
	const made = session.OpenCreate | session.OpenWrite
	if status(err) == session.StatusPermissionDenied && f.r.Pflags&made == made {
		widen := f.c.take(&f.owing, now.Mode&modePerm, func(bits uint32) *session.Call {
			return ch.s.Setstat(path, modeOnly(bits|ownersRight))
		})
		if denied := ch.wait(f.c.ctx, widen); denied != nil {
			if isLost(denied) {
				return "", denied
			}
			f.c.repaid(&f.owing)
			return "", err
		}
		id, err = openPath(ch, f.c.ctx, path, f.r.Pflags&^onlyOnce)
	}
	if isLost(err) {
		return id, err
	}
	back := f.c.repay(&f.owing, func(bits uint32) *session.Call {
		if err != nil {
			return ch.s.Setstat(path, modeOnly(bits))
		}
		return ch.s.Fsetstat(id, modeOnly(bits))
	})
	if back == nil {
		return id, err
	}
	refusal := ch.wait(f.c.ctx, back)
	if isLost(refusal) {
		return "", refusal
	}
	f.c.repaid(&f.owing)
	if refusal != nil {
		f.c.o.Logger.Warn("permission bits could not be put back", "path", path, "cause", refusal)
	}
	return id, err
}

// ownersRight is what openAgain adds to the bits of a file.
const ownersRight = 0o600

func modeOnly(bits uint32) Attr { return Attr{Flags: session.HasMode, Mode: bits} }

// openPath is OPEN of a file that is there.
func openPath(ch *channel, ctx context.Context, path string, pflags uint32) (string, error) {
	open := ch.s.OpenFile(path, pflags, Attr{})
	if err := ch.wait(ctx, open); err != nil {
		closeWhenOpen(ch.link.c, ch, open)
		return "", err
	}
	return open.Handle(), nil
}
