package sftpconn

import (
	"errors"
	"fmt"
	"time"

	"sshmount/sftpconn/session"
)

// errStripe is why a file is not used over a further channel. Nobody gets to see it:
// the file goes on over the channels it has.
var errStripe = errors.New("file is not opened on a further channel")

// stripeLimit bounds the opening of a file on a further channel: what has the name
// by now may be something whose opening blocks (a FIFO). The channel is given up then.
const stripeLimit = 15 * time.Second

// anchor is a look through an open handle, with which the file that is found by name
// on a further channel is compared: SFTP has no inode numbers.
type anchor struct {
	done  chan struct{} // closed when the look is done
	attr  Attr
	err   error
	taken time.Time // when it was asked for
}

// widen has the file opened on further channels where it moves enough data. With mu held.
func (f *File) widen() {
	if f.moved < bulkAfter {
		return
	}
	all := f.pending.Load() >= stripeFrom
	for _, l := range f.c.allLinks() {
		channels := l.bulkChannels()
		if len(channels) == 0 {
			l.grow(1)
			continue
		}
		var least *channel
		has := false
		for _, ch := range channels {
			switch {
			case f.handles[ch] != nil:
				has = true
			case time.Now().Before(f.retries[ch]) || ch.over():
			case all:
				f.stripe(ch)
			case least == nil || ch.busy() < least.busy():
				least = ch
			}
		}
		if !has && least != nil {
			f.stripe(least)
		}
	}
}

// busy is the bytes in flight in both directions.
func (ch *channel) busy() int64 { return ch.load[reading].Load() + ch.load[writing].Load() }

// stripe opens the file on ch in the background. With mu held.
func (f *File) stripe(ch *channel) *handle {
	h := &handle{ch: ch, done: make(chan struct{})}
	f.handles[ch] = h
	f.retries[ch] = time.Now().Add(stripePause)
	f.c.spawn(func() { f.opened(h, f.findSame) })
	return h
}

// findSame opens the file by its name on a further channel of a connection on which
// it is open already. The name may lead to another file by now: it is used only
// where OPEN and LSTAT, in one flight, show what the handle shows that there is.
func (f *File) findSame(ch *channel) (string, error) {
	path := f.r.Path()
	if path == "" {
		return "", errStripe
	}
	watchdog := time.AfterFunc(stripeLimit, func() {
		f.c.o.Logger.Warn("opening a file on a further channel takes too long; the channel is given up", "path", path)
		ch.s.Close()
	})
	defer watchdog.Stop()

	a, err := f.look()
	if err != nil {
		return "", fmt.Errorf("%w: %w", errStripe, err)
	}
	writes := f.r.Pflags&session.OpenWrite != 0
	if writes {
		// What is found must not be older than the look: it comes first.
		<-a.done
	}
	open := ch.s.OpenFile(path, f.r.Pflags&^onlyOnce, Attr{})
	stat := ch.s.Lstat(path)
	err = ch.wait(f.c.ctx, open)
	if err != nil {
		closeWhenOpen(f.c, ch, open)
		return "", fmt.Errorf("%w: %w", errStripe, err)
	}
	err = ch.wait(f.c.ctx, stat)
	<-a.done
	if err == nil {
		err = a.err
	}
	if err == nil && !f.matches(a, stat.Attr(), writes) {
		err = errors.New("what has its name now looks different")
	}
	if err == nil && f.r.Path() != path {
		err = errors.New("it was renamed meanwhile")
	}
	if err != nil {
		f.mu.Lock()
		f.anchor = nil
		f.mu.Unlock()
		ch.s.CloseHandle(open.Handle())
		return "", fmt.Errorf("%w: %w", errStripe, err)
	}
	return open.Handle(), nil
}

// look gives the anchor, and takes it first where there is none of late.
func (f *File) look() (*anchor, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.over(); err != nil {
		return nil, err
	}
	if f.anchor != nil && time.Since(f.anchor.taken) < stripePause {
		return f.anchor, nil
	}
	h := f.best(reading, 0, nil)
	if h == nil {
		return nil, errors.New("it is open nowhere")
	}
	h.refs++
	a := &anchor{done: make(chan struct{}), taken: time.Now()}
	f.anchor = a
	call := h.ch.s.Fstat(h.id)
	f.c.spawn(func() {
		defer close(a.done)
		defer f.drop(h)
		if a.err = h.ch.wait(f.c.ctx, call); a.err == nil {
			a.attr = call.Attr()
		}
	})
	return a, nil
}

// matches compares. A file that is being written changes between the looks, but only
// as far as was written, and as time has passed.
func (f *File) matches(a *anchor, found Attr, writes bool) bool {
	if !writes {
		return sameFile(a.attr, found)
	}
	was := a.attr
	f.mu.Lock()
	end := max(uint64(f.end), was.Size)
	f.mu.Unlock()
	passed := uint32(time.Since(a.taken)/time.Second) + 2
	return found.Mode == was.Mode && found.UID == was.UID && found.GID == was.GID &&
		found.Size >= was.Size && found.Size <= end &&
		found.Mtime >= was.Mtime && found.Mtime <= was.Mtime+passed
}

// truncated notes that the file will have a size set.
func (f *File) truncated(size int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.anchor = nil
	f.end = max(f.end, size)
}
