package sftpconn

import (
	"errors"
	"fmt"
	"time"
)

// errStripe says that a file could not be opened on a further channel. No caller sees it:
// the file is used over the channels on which it is open.
var errStripe = errors.New("file is not opened on a further channel")

// A file is opened on further channels in the background, by stripe: when bulk data of it is moved (widen), when its requests wait for
// room (crowd), or a channel has been opened while they do (join), and when a copy needs two files on one channel (spread).

// widen has the file opened on further channels for data in direction dir, if it moves
// enough of it. With mu held.
func (f *File) widen(dir int) {
	pending := f.pending.Load()
	if f.moved < bulkAfter || pending < bulkFrom {
		return
	}
	if f.writes() && !f.inAnyOrder() {
		return
	}
	all := pending >= stripeFrom
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
			case f.handles[ch].fits(dir):
				has = true
			case time.Now().Before(f.retries[ch]) || ch.over():
			case all:
				f.stripe(ch, dir)
			case least == nil || ch.busy() < least.busy():
				least = ch
			}
		}
		if !has && least != nil {
			f.stripe(least, dir)
		}
	}
}

// inAnyOrder reports whether the server takes the bytes of a file in any order and through several handles. One that can fsync does.
// Others may pass the bytes on, from the first to the last, to a store that keeps whole files only: they refuse a WRITE that does not
// follow the one before, or take each further OPEN for a new file in the place of this one. With mu held.
func (f *File) inAnyOrder() bool {
	for ch := range f.handles {
		if !ch.s.Has("fsync@openssh.com") {
			return false
		}
	}
	return true
}

// tryWiden is widen for a file that may be closed or stale, or may have handles of lost channels. With mu held.
func (f *File) tryWiden(dir int) {
	if f.over() == nil {
		f.purge()
		f.widen(dir)
	}
}

// join has the file opened on a channel that has just been opened, where requests of the file wait for room: those do not look for
// channels themselves.
func (f *File) join() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for dir := range f.room {
		if len(f.room[dir].queue) > 0 {
			f.tryWiden(dir)
		}
	}
}

// busy is the bytes in flight in both directions.
func (ch *channel) busy() int64 { return ch.load[reading].Load() + ch.load[writing].Load() }

// stripe opens the file on ch in the background: for everything that it was opened for;
// but where dir is reading, for reading alone, which is easier to prove safe. With mu held.
func (f *File) stripe(ch *channel, dir int) *handle {
	full := dir == writing || !f.writes()
	f.retries[ch] = time.Now().Add(stripePause)
	return f.begin(ch, full, func(h *handle) (string, error) {
		id, err := f.findSame(h)
		if err != nil {
			err = fmt.Errorf("%w: %w", errStripe, err)
		}
		return id, err
	})
}

// findSame opens the file by its name on a further channel of a connection on which
// it is open already. The name may lead to another file by now, so what was opened must
// prove to be the same file.
func (f *File) findSame(h *handle) (string, error) {
	ch, path := h.ch, f.r.Path()
	if path == "" {
		return "", errors.New("it was removed")
	}
	var id string
	var err error
	if h.full && f.writes() {
		id, err = f.findMoving(ch, path)
	} else {
		id, err = f.findStill(h, path)
	}
	if err == nil && f.r.Path() != path {
		err = errors.New("it was renamed meanwhile")
	}
	if err != nil && id != "" {
		ch.s.CloseHandle(id)
	}
	return id, err
}

// spread reports whether the file is open on ch for direction dir. Where it isn't, it has
// it opened there in the background.
func (f *File) spread(ch *channel, dir int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over() != nil {
		return false
	}
	f.purge()
	if h := f.handles[ch]; h.fits(dir) {
		return h.open()
	}
	if !ch.over() && time.Now().After(f.retries[ch]) && (!f.writes() || f.inAnyOrder()) {
		f.stripe(ch, dir)
	}
	return false
}
