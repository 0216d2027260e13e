package sftpconn

import (
	"errors"
	"time"

	"sshmount/sftpconn/session"
)

const (
	// It is checked after motionFirst whether a file that is written has moved, and then
	// each time after twice as long, up to motionMost: its mtime moves once a second. From
	// motionLook on the server is asked for that.
	motionFirst = 5 * time.Millisecond
	motionLook  = 80 * time.Millisecond
	motionMost  = 1280 * time.Millisecond

	// glancesMost is the most looks at a file while its OPEN is unanswered.
	glancesMost = 12
)

// findMoving opens the file at name for writing on ch, where the file is being written.
// What is found must move with the open file: at first it is shorter or older than that
// becomes, and a moment later no more. id and error are as with findStill.
//
// An example: 3 MB are acknowledged. What was opened shows 3 MB first. Then 4 MB are
// acknowledged, through the handles that there are; the new one shows 4 MB as well, and
// no more than was written. Another file of 3 MB would have stayed as it was.
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
	return id, f.awaitMotion(ch, id, first, max(before, first.Size), begun)
}

// awaitMotion waits until the open file has moved on from first, as which the handle id on ch was found: until more than size bytes of it are
// acknowledged, or a look at it tells so. Then the file of id must have moved as well. begun is when findMoving began; the mtime may have moved
// on by the time since then.
func (f *File) awaitMotion(ch *channel, id string, first Attr, size uint64, begun time.Time) error {
	for pause := motionFirst; pause <= motionMost; pause *= 2 {
		known := first
		if _, acked := f.reach(); acked > size { // that shows how long the file is, without a look
			known.Size = acked
			return f.hasMoved(ch, id, known, begun)
		}
		if pause >= motionLook {
			begun = time.Now()
			var err error
			if known, err = f.look(); err != nil {
				return err
			}
			if follows(first, known) && (known.Size > first.Size || known.Mtime > first.Mtime) {
				return f.hasMoved(ch, id, known, begun)
			}
		}
		select {
		case <-time.After(pause):
		case <-ch.s.Done():
			return ch.s.Err()
		}
	}
	return errors.New("it does not move, and so may be another")
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
