package sftpconn

import (
	"slices"
	"time"
)

const (
	// idleChannel is how long an unused channel is kept. Each is a process on the server, and
	// one of the ten channels that sshd grants a connection.
	idleChannel = time.Minute

	// idleLook is how often idle channels are looked for.
	idleLook = 15 * time.Second

	// keptChannels is how many bulk channels stay although they are idle: the next file begins on them.
	keptChannels = 1
)

// watchIdle closes channels that nobody uses, as long as the link lasts.
func (l *link) watchIdle() {
	tick := time.NewTicker(idleLook)
	defer tick.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-tick.C:
			l.shrink(time.Now())
		}
	}
}

// shrink closes the channels that have been idle for idleChannel: those for bulk data
// but keptChannels, the newest first, and that for copies. Called by one goroutine at a time.
func (l *link) shrink(now time.Time) {
	var idle []*channel
	l.mu.Lock()
	for _, ch := range l.bulk {
		if ch.idle(now) {
			idle = append(idle, ch)
		}
	}
	idle = idle[max(0, min(len(idle), keptChannels-(len(l.bulk)-len(idle)))):]
	if l.copies != nil && l.copies.idle(now) {
		idle = append(idle, l.copies)
	}
	l.mu.Unlock()
	for _, ch := range slices.Backward(idle) {
		l.closeIdle(ch)
	}
}

// idle says whether nobody has used ch for idleChannel. Called by shrink alone.
func (ch *channel) idle(now time.Time) bool {
	if n := ch.s.Started(); n != ch.started || ch.s.InFlight() > 0 {
		ch.started, ch.usedAt = n, now
	}
	return now.Sub(ch.usedAt) >= idleChannel
}

// closeIdle closes a channel, unless a file would lose its only handle with it: if the file
// has no name any more, it could not be opened again. A request that has just begun to use the
// channel is lost with it, and is sent again on another.
func (l *link) closeIdle(ch *channel) {
	for _, f := range l.c.openFiles() {
		if !f.leave(ch) {
			return
		}
	}
	l.mu.Lock()
	if ch == l.copies {
		l.copies, l.full, l.droppedAt = nil, false, time.Now()
	}
	l.mu.Unlock()
	l.c.o.Logger.Debug("a channel that nobody used is closed")
	ch.s.Close()
}

// leave gives back the handle on ch, where the file has another that is as good. It
// reports whether the file can do without the channel.
func (f *File) leave(ch *channel) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.purge()
	h := f.handles[ch]
	if h == nil {
		return true
	}
	if !h.open() || h.refs > 0 || !f.elsewhere(ch) {
		return false
	}
	delete(f.handles, ch)
	h.retired = true
	f.giveBack(h)
	return true
}
