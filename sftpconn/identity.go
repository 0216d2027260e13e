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
// written moves (its size and mtime grow). A handle whose file moves in the same way is
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

	// It is checked after motionFirst whether a file that is written has moved, and then
	// each time after twice as long, up to motionMost: its mtime moves once a second. From
	// motionLook on the server is asked for that.
	motionFirst = 5 * time.Millisecond
	motionLook  = 80 * time.Millisecond
	motionMost  = 1280 * time.Millisecond

	// glancesMost is the most looks at a file while its OPEN is unanswered.
	glancesMost = 12
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

// findMoving opens the file at name for writing on ch, where the file is being written.
// What is found must move with the open file: at first it is shorter or older than that
// becomes, and a moment later no more. id and error are as with findStill.
func (f *File) findMoving(ch *channel, name string) (string, error) {
	if err := f.regular(ch, name); err != nil {
		return "", err
	}
	begun := time.Now()
	_, before := f.reach()
	open := ch.s.OpenFile(name, f.r.Pflags&^onlyOnce, Attr{})
	look := lookBehind(ch, open)
	watched := f.watch(ch, open)
	err := f.waitOpen(ch, name, open, stripeLimit)
	glances := <-watched
	if err != nil {
		return "", err
	}
	id := open.Handle()
	first, err := f.lookedBehind(ch, open, look)
	if err != nil {
		return id, err
	}
	if first.Size >= uint64(before) && open.AsForeseen() && f.movedMeanwhile(ch, first, glances) {
		return id, nil
	}
	for pause := motionFirst; pause <= motionMost; pause *= 2 {
		// An acknowledged write shows how long the file is, without a look.
		known := first
		if _, acked := f.reach(); acked > max(before, first.Size) {
			known.Size = acked
			return id, f.hasMoved(ch, id, known, begun)
		}
		if pause >= motionLook {
			begun = time.Now()
			var err error
			if known, err = f.look(); err != nil {
				return id, err
			}
			if follows(first, known) && (known.Size > first.Size || known.Mtime > first.Mtime) {
				return id, f.hasMoved(ch, id, known, begun)
			}
		}
		select {
		case <-time.After(pause):
		case <-ch.s.Done():
			return id, ch.s.Err()
		}
	}
	return id, errors.New("it does not move, and so may be another")
}

// glance is a look at a file through the handle that its OPEN is foreseen to get.
type glance struct {
	call  *session.Call
	acked uint64 // how far the file was sure to be written when it was sent
	at    time.Time
}

// watch looks at a file on ch again and again while its OPEN is unanswered, if the handle can be foreseen. So the proof that it moves,
// which would come a round trip after the answer to OPEN, comes soon after it.
func (f *File) watch(ch *channel, open *session.Call) <-chan []glance {
	watched := make(chan []glance, 1)
	id := open.Foreseen()
	if id == "" {
		watched <- nil
		return watched
	}
	pause := max(motionFirst, ch.link.rtt.get()/glancesMost)
	watching := f.c.spawn(func() {
		var glances []glance
		defer func() { watched <- glances }()
		timer := time.NewTicker(pause)
		defer timer.Stop()
		for range glancesMost {
			select {
			case <-timer.C:
			case <-open.Done():
				return
			}
			_, acked := f.reach()
			glances = append(glances, glance{ch.s.Fstat(id), acked, time.Now()})
		}
	})
	if !watching {
		watched <- nil
	}
	return watched
}

// movedMeanwhile reports whether the first glance that shows a longer file than at first shows it as long as ours was at that moment.
func (f *File) movedMeanwhile(ch *channel, first Attr, glances []glance) bool {
	for _, g := range glances {
		if ch.wait(f.c.ctx, g.call) != nil {
			return false
		}
		if now := g.call.Attr(); now.Size > first.Size {
			known := first
			known.Size = g.acked
			return now.Size >= g.acked && f.isAt(known, now, g.at)
		}
	}
	return false
}

// hasMoved fails unless the file of handle id looks as known by now, which it did not at
// first, or further on by no more than what was written since.
func (f *File) hasMoved(ch *channel, id string, known Attr, since time.Time) error {
	stat := ch.s.Fstat(id)
	if err := ch.wait(f.c.ctx, stat); err != nil {
		return err
	}
	if !f.isAt(known, stat.Attr(), since) {
		return errDiffers
	}
	return nil
}

// isAt reports whether a file that looked as known at the time since, and was then written as ours was, may look as now.
func (f *File) isAt(known, now Attr, since time.Time) bool {
	passed := uint32(time.Since(since)/time.Second) + leftAloneFor
	end, _ := f.reach()
	return follows(known, now) && now.Size <= max(end, known.Size) && now.Mtime <= known.Mtime+passed
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
