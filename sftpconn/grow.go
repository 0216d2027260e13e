package sftpconn

import (
	"context"
	"errors"
	"slices"
	"time"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/transport"
)

// grow opens bulk channels in the background until there are n, as far as they are
// granted.
func (l *link) grow(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return
	}
	if l.full || time.Now().Before(l.openAfter) {
		return
	}
	for len(l.bulk)+l.opening < min(n, int(l.most.Load())) && l.c.spawn(l.openBulk) {
		l.opening++
		l.nOpening.Add(1)
	}
}

// reserve prepares the channels that a stream which begins may need in a moment, on transports where that costs next to nothing.
func (l *link) reserve(p *pacer) {
	r, ok := l.t.(transport.Reserver)
	if !ok || l.t.Info().Shared || l.single.Load() || l.rtt.get() <= farRTT {
		return
	}
	n := p.begins()
	l.mu.Lock()
	if l.err == nil && !l.full && !time.Now().Before(l.openAfter) {
		n -= len(l.bulk) + l.opening
	} else {
		n = 0
	}
	l.mu.Unlock()
	if n > 0 {
		r.Reserve(n)
	}
}

// openBulk opens one bulk channel, and takes it out of the link when its session ends.
func (l *link) openBulk() {
	var bulk *channel
	err := l.openCounted(l.greeted(), func(ch *channel, err error) {
		l.nOpening.Add(-1)
		if err != nil {
			l.noteRefusal(err)
			return
		}
		l.addBulk(ch)
		bulk = ch
	})
	l.read.pump()
	l.write.pump()
	if err != nil {
		return
	}
	for _, f := range l.c.openFiles() {
		f.join()
	}
	<-bulk.s.Done()
	l.drop(bulk)
	l.read.pump()
	l.write.pump()
}

// countOpening counts a channel that is about to be opened by openCounted: from then on silence ends the link.
func (l *link) countOpening() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opening++
}

// openCounted opens a channel that the caller has counted in link.opening, and takes the count back. It then calls put, with mu held,
// with the channel or the reason why there is none. Where the link has ended meanwhile, the channel is closed, and that is the reason.
// like is as with openChannel.
func (l *link) openCounted(like *session.Session, put func(ch *channel, err error)) error {
	ctx, cancel := context.WithTimeout(l.ctx, openLimit)
	defer cancel()
	return l.openCountedWithin(ctx, like, put)
}

// openCountedWithin is openCounted with the limits of ctx alone.
func (l *link) openCountedWithin(ctx context.Context, like *session.Session, put func(ch *channel, err error)) error {
	ch, err := l.openChannel(ctx, like)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opening--
	if err == nil && l.err != nil {
		ch.s.Close()
		ch, err = nil, l.err
	}
	put(ch, err)
	return err
}

// addBulk makes ch a bulk channel. With mu held.
func (l *link) addBulk(ch *channel) {
	l.bulk = append(slices.Clone(l.bulk), ch)
	l.nBulk.Store(int32(len(l.bulk)))
}

// copyChannel returns the channel for copies. Where there is none it returns nil, and opens
// one in the background.
func (l *link) copyChannel() *channel {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.copies != nil && !l.copies.over() {
		return l.copies
	}
	may := l.err == nil && !l.full && !l.copyOpening && time.Now().After(l.openAfter)
	if may && l.c.spawn(l.openCopies) {
		l.copyOpening = true
		l.opening++
	}
	return nil
}

func (l *link) openCopies() {
	full := false
	_ = l.openCounted(nil, func(ch *channel, err error) {
		l.copyOpening = false
		if err != nil {
			l.noteRefusal(err)
			full = l.full
			return
		}
		l.copies = ch
	})
	// Where the server may only not have noticed yet that one was closed, its place is waited for: no second one is given up for it.
	if full {
		l.yield(false)
	}
}

// greeted returns a session of the link that the server has greeted; nil where there is none. It returns nil, too, where the server
// starts its programs slowly: a request sent on a channel before its program runs would have been answered on another long before.
func (l *link) greeted() *session.Session {
	if time.Duration(l.greeting.Load()) > 2*l.rtt.get()+slowStart {
		return nil
	}
	if ch := l.soonest(); ch != nil {
		return ch.s
	}
	return nil
}

// noteRefusal notes that a channel could not be had. With mu held.
func (l *link) noteRefusal(err error) {
	switch {
	case errors.Is(err, transport.ErrNoMoreChannels) && time.Since(l.droppedAt) < leaving:
		l.openAfter = time.Now().Add(leaving) // the server may still count the one that was closed here
	case errors.Is(err, transport.ErrNoMoreChannels):
		l.full = true
	default:
		l.openAfter = time.Now().Add(refusedPause)
	}
	if l.err == nil {
		l.c.o.Logger.Debug("no further channel is to be had", "channels", len(l.all()), "cause", err)
	}
}

// drop takes a bulk channel out of the link. Its session is over, and the link may be well: its
// sftp-server was killed, or nobody used it.
func (l *link) drop(ch *channel) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bulk = slices.DeleteFunc(slices.Clone(l.bulk), func(o *channel) bool { return o == ch })
	l.nBulk.Store(int32(len(l.bulk)))
	l.droppedAt = time.Now()
	l.full = false // what was granted once may be granted again
	if l.err == nil && !ch.yielded.Load() && time.Since(ch.since) < steady {
		l.openAfter = time.Now().Add(refusedPause)
	}
}
