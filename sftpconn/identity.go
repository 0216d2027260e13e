package sftpconn

import (
	"context"
	"errors"
	"path"
	"time"

	"sshmount/sftpconn/session"
)

// SFTP has no inode numbers: whether two handles are of one file shows only in what
// their attributes do. A file that is only read stands still, so all of them must be
// equal, and its time must be one that no other file can have by chance. One that is
// written moves, and a handle whose file moves with it is of the same file: two files
// of the same size and second would not.

const (
	// stripeLimit is how long the opening on a further channel may take before
	// somebody looks: what has the name may be something whose opening blocks (a FIFO).
	stripeLimit = 15 * time.Second
	// stripeLooks is how often it is found to be a file before the channel is given up all the same.
	stripeLooks = 4

	// leftAloneFor is how long, in seconds, a file must have been left alone when it was
	// opened: one that replaces it afterwards then has another mtime, of whole seconds.
	leftAloneFor = 2

	// Whether a file that is written has moved is asked after motionFirst, and then each
	// time after twice as long, up to motionMost: its mtime moves once in a second. From
	// motionLook on the server is asked.
	motionFirst = 5 * time.Millisecond
	motionLook  = 80 * time.Millisecond
	motionMost  = 1280 * time.Millisecond

	// glancesMost is how many times a file is looked at while its OPEN is under way.
	glancesMost = 12
)

var errDiffers = errors.New("what has its name now looks different")

// findStill opens path for reading on the channel of h, for a file that stands still: what is found must look as the open file
// does. OPEN and all looks go out in one flight, and READs behind them where the handle can be foreseen. Where it gives
// an id beside an error, the handle is the caller's to close.
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
	// A directory that was last changed before the file was has had the name given to no other since.
	if err := ch.wait(f.c.ctx, dir); err != nil {
		return id, err
	}
	if f.r.Follow || dir.Attr().Mtime >= known.Mtime { // where the name is a link, this is not the directory of the file
		return id, errors.New("it was too fresh when it was opened to be told from one that replaces it")
	}
	return id, nil
}

// leftAlone says whether a file last changed at mtime had been left alone when it was opened.
func (f *File) leftAlone(mtime uint32) bool { return f.sentAt()-int64(mtime) >= leftAloneFor }

// sentAt is when the file was asked for, in seconds of the server's clock where that is known.
func (f *File) sentAt() int64 { return f.sent.Unix() + f.c.clockAhead.Load() }

// learnClock compares the server's clock with ours, by a file just made.
func (c *Conn) learnClock(made Attr) {
	c.clockAhead.Store(int64(made.Mtime) - time.Now().Unix())
}

// findMoving opens path for writing on ch, where what is found moves with the file
// that is open: it was shorter or older at first than that came to be, and is no more.
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
		// A write that was acknowledged tells how long the file is, and costs no look.
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

// glance is one look at a file through the handle that its OPEN is foreseen to get.
type glance struct {
	call  *session.Call
	acked uint64 // how far the file was sure to be written when it was sent
	at    time.Time
}

// watch looks at a file on ch again and again for as long as its OPEN is under way, where the handle can be foreseen. So
// what would prove that it moves, a round trip after the answer to OPEN, is there soon after it.
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

// movedMeanwhile says whether one of the glances shows the file further than it was at first, and where ours was at that moment.
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

// hasMoved looks whether the file of handle id has come as far as known, which it had
// not at first, and no further than the writes since then.
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

// isAt says whether a file that looked as known at the time since, and was written from there on as ours was, may look as now.
func (f *File) isAt(known, now Attr, since time.Time) bool {
	passed := uint32(time.Since(since)/time.Second) + leftAloneFor
	end, _ := f.reach()
	return follows(known, now) && now.Size <= max(end, known.Size) && now.Mtime <= known.Mtime+passed
}

// look asks for the attributes through a handle that is sure to be of the file.
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

// regular makes sure that nothing is opened on the channel of names that would block
// it. Other channels are given up when that happens, which is no round trip more.
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
// look over the channel of names tells whether the server is merely slow. Where it is
// blocked, the channel is given up.
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

// mayOpen says whether name still leads to a file, as far as can be told.
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
