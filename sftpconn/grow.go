package sftpconn

import (
	"context"
	"errors"
	"time"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/transport"
)

// grow opens channels in the background until there are n for bulk data, as far
// as they are granted.
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

// reserve has the channels prepared that a stream which begins may want in a moment, as far as that costs next to nothing.
func (l *link) reserve(p *pacer) {
	r, ok := l.t.(transport.Reserver)
	if !ok || l.t.Info().Shared || l.rtt.get() <= farRTT {
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

// openBulk opens one channel for bulk data, and drops it when its session ends.
func (l *link) openBulk() {
	ctx, cancel := context.WithTimeout(l.ctx, openLimit)
	ch, err := l.openChannel(ctx, l.greeted())
	cancel()
	l.nOpening.Add(-1)
	defer func() {
		l.read.pump()
		l.write.pump()
	}()
	l.mu.Lock()
	l.opening--
	if err != nil {
		l.noteRefusal(err)
		l.mu.Unlock()
		return
	}
	if l.err != nil {
		l.mu.Unlock()
		ch.s.Close()
		return
	}
	l.bulk = append(append([]*channel{}, l.bulk...), ch)
	l.nBulk.Store(int32(len(l.bulk)))
	l.mu.Unlock()
	l.read.pump()
	l.write.pump()

	<-ch.s.Done()
	l.drop(ch)
}

// greeted gives a session of the link that the server has greeted; nil where there is none.
func (l *link) greeted() *session.Session {
	if ch := l.soonest(); ch != nil {
		return ch.s
	}
	return nil
}

// noteRefusal notes that a channel could not be had. With mu held.
func (l *link) noteRefusal(err error) {
	switch {
	case errors.Is(err, transport.ErrNoMoreChannels) && time.Since(l.droppedAt) < leaving:
		l.openAfter = time.Now().Add(leaving) // one that is closed here may still count over there
	case errors.Is(err, transport.ErrNoMoreChannels):
		l.full = true
	default:
		l.openAfter = time.Now().Add(refusedPause)
	}
	if l.err == nil {
		l.c.o.Logger.Debug("no further channel is to be had", "channels", len(l.all()), "cause", err)
	}
}

// drop takes a channel out whose session is over while the link may be well (its
// sftp-server was killed, or nobody used it).
func (l *link) drop(ch *channel) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var rest []*channel
	for _, o := range l.bulk {
		if o != ch {
			rest = append(rest, o)
		}
	}
	l.bulk = rest
	l.nBulk.Store(int32(len(l.bulk)))
	l.droppedAt = time.Now()
	l.full = false // what was granted once may be granted again
	if l.err == nil && time.Since(ch.since) < steady {
		l.openAfter = time.Now().Add(refusedPause)
	}
}
