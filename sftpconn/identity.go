package sftpconn

import (
	"context"
	"errors"
	"path"
	"time"

	"sshmount/sftpconn/session"
)

// SFTP has no inode numbers: only the attributes show whether two handles are of one
// file. A file that is only read stands still, so all its attributes must be equal, and
// its mtime must be one that a file which has replaced it can't have. A file that is
// written moves (its size and mtime grow; moving.go). A handle whose file moves in the same way is
// of the same file: another file of the same size and mtime would stand still.

const (
	// stripeLimit is how long an OPEN on a further channel may take before the name is
	// looked at: it may lead to something whose opening blocks (a FIFO) by now.
	stripeLimit = 15 * time.Second
	// stripeLooks is how many times that may be found to be a file before the channel is given up all the same.
	stripeLooks = 4

	// leftAloneFor is how long, in seconds, a file must have been unchanged when it was
	// opened. A file that replaces it afterwards then has another mtime (in whole seconds).
	leftAloneFor = 2
)

var errDiffers = errors.New("what has its name now looks different")

// findStill opens the file at name for reading on the channel of h, where the file stands still: what is found must look as the open
// file does. OPEN and all looks go out in one flight, with READs behind them if the handle can be foreseen. Where it returns an id
// together with an error, the caller has to close that handle.
func (f *File) findStill(h *handle, name string) (string, error) {
	ch := h.ch
	if err := f.regular(ch, name); err != nil {
		return "", err
	}
	open := ch.s.OpenFile(name, f.r.Pflags&^onlyOnce&^session.OpenWrite, Attr{})
	look, dir := lookBehind(ch, open), ch.s.Stat(path.Dir(name))
	f.readEarly(h, open)
	var known Attr
	var err error
	if f.looked != nil {
		known = *f.looked
	} else {
		known, err = f.look()
	}
	if opened := f.waitOpen(ch, name, open, stripeLimit); opened != nil {
		return "", opened
	}
	id := open.Handle()
	if err != nil {
		return id, err
	}
	found, foundErr := f.lookedBehind(ch, open, look)
	if foundErr != nil {
		return id, foundErr
	}
	if f.looked != nil && !sameFile(known, found) {
		if known, err = f.look(); err != nil { // it may have changed since
			return id, err
		}
	}
	if !sameFile(known, found) {
		return id, errDiffers
	}
	if f.leftAlone(known.Mtime) {
		return id, nil
	}
	// If the directory was last changed before the file was, the name was given to no other file since.
	if err := ch.wait(f.c.ctx, dir); err != nil {
		return id, err
	}
	if f.r.Follow || dir.Attr().Mtime >= known.Mtime { // where the name is a link, this is not the directory of the file
		return id, errors.New("it was too fresh when it was opened to be told from one that replaces it")
	}
	return id, nil
}

// leftAlone reports whether a file with this mtime had been unchanged for leftAloneFor when it was opened.
func (f *File) leftAlone(mtime uint32) bool { return f.sentAt()-int64(mtime) >= leftAloneFor }

// sentAt is when the OPEN was sent, in seconds since 1970, by the server's clock as far as that is known.
func (f *File) sentAt() int64 { return f.sent.Unix() + f.c.clockAhead.Load() }

// learnClock compares the server's clock with ours, by the mtime of a file that was just made.
func (c *Conn) learnClock(made Attr) {
	c.clockAhead.Store(int64(made.Mtime) - time.Now().Unix())
}

// look returns the attributes, through a handle that is sure to be of the file.
func (f *File) look() (Attr, error) {
	f.mu.Lock()
	if err := f.over(); err != nil {
		f.mu.Unlock()
		return Attr{}, err
	}
	h := f.best(f.main(), forSmall, nil)
	if h == nil {
		f.mu.Unlock()
		return Attr{}, errors.New("it is open nowhere")
	}
	h.refs++
	f.mu.Unlock()
	defer f.drop(h)
	call := h.ch.s.Fstat(h.id)
	err := h.ch.wait(f.c.ctx, call)
	return call.Attr(), err
}

// regular fails where the OPEN of name would block the channel of names. On other channels
// it does not look, which saves a round trip: they are given up when that happens.
func (f *File) regular(ch *channel, name string) error {
	if !ch.names {
		return nil
	}
	look := f.lookUp(ch, name)
	if err := ch.wait(f.c.ctx, look); err != nil {
		return err
	}
	if !isRegular(look.Attr()) {
		return errDiffers
	}
	return nil
}

// waitOpen waits for an OPEN on a further channel. When that takes longer than limit, a
// look over the channel of names shows whether the server is only slow. Where it is
// blocked, the channel is closed.
func (f *File) waitOpen(ch *channel, name string, open *session.Call, limit time.Duration) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for looks := 1; ; looks++ {
		select {
		case <-open.Done():
			return ch.wait(f.c.ctx, open)
		case <-timer.C:
		}
		if !ch.names && (looks == stripeLooks || !f.mayOpen(name, limit)) {
			f.c.o.Logger.Warn("opening a file on a further channel takes too long; the channel is given up", "path", name)
			ch.s.Close()
		}
		timer.Reset(limit)
	}
}

// mayOpen reports whether name still leads to a regular file, as far as can be told.
func (f *File) mayOpen(name string, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(f.c.ctx, limit)
	defer cancel()
	ask := f.c.Lstat
	if f.r.Follow {
		ask = f.c.Stat
	}
	a, err := ask(ctx, name)
	if err != nil {
		return !refused(err)
	}
	return isRegular(a)
}
