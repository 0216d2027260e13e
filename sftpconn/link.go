package sftpconn

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/transport"
)

const (
	// window is what one SSH channel carries in a round trip, in bytes, with OpenSSH
	// and x/crypto/ssh alike.
	window = 2 << 20

	// carried is what may be in flight on one channel: its window, and a request that
	// waits for it to open.
	carried = window + 256<<10

	// leastWrites is what may always be in flight to the server on a channel, in bytes, even if the share of this channel of what the
	// line holds is less. More than that share is not good: OpenSSH's sshd keeps what its sftp-server has not taken yet in a buffer that it
	// copies as a whole, to new memory, for each 32 KiB by which it grows, so that filling a window once costs it many times what the
	// window carries. For the same reason no more than this is sent on the first channel while the server starts the programs of others.
	leastWrites = 768 << 10

	// lentBytes of the window of the channel of names carry bulk data where the windows of all bulk channels are full. That is done only
	// on a line that carries them in less than a lentTime-th part of a round trip, so that no name waits for them noticeably.
	lentBytes = 1 << 20
	lentTime  = 8

	// aloneChannels is the number of bulk channels where the user has not chosen one: with the channel of names these are the ten
	// that sshd grants. If something else needs a channel, a bulk channel is given up for it (yield). On a connection that other programs
	// use too, sharedChannels leaves some for them.
	aloneChannels  = 9
	sharedChannels = 4

	// farRTT is the round trip above which a stream that is held up by its window
	// gets all its channels at once, because opening them takes several round trips.
	farRTT = 20 * time.Millisecond

	// distantRTT is the round trip above which a writer that fills windows at once gets channels before any answer tells what the
	// line carries. On a fast line a copy then starts a round trip earlier; on a thin one the server has started some SFTP servers in
	// vain.
	distantRTT = 100 * time.Millisecond

	// refusedPause is how long a link does not ask for a channel after one could not be
	// opened for another reason than that the server grants no more.
	refusedPause = 20 * time.Second

	// slowStart is how much longer than two round trips a greeting must take for the server to count as one that starts its programs
	// slowly, as a login shell with long start-up files does.
	slowStart = 500 * time.Millisecond

	// leaving is how long a server may take to notice that a channel was closed: before that it may grant none in its place.
	leaving = time.Second
)

// link is one authenticated connection and its channels.
type link struct {
	c      *Conn
	t      transport.Transport
	ctx    context.Context // ends with the link
	cancel context.CancelFunc
	done   chan struct{} // closed by close

	relayed bool // transport.Info.Relayed

	suspected chan struct{} // capacity 1: probe now
	noProbe   atomic.Bool   // the transport has no probe of its own
	most      atomic.Int32  // channels for bulk data that it may have
	single    atomic.Bool   // it must have no more than one channel, ever (session.MixesChannels)
	opened    atomic.Bool   // a channel was opened, or is being opened
	greeting  atomic.Int64  // how long the last greeting took that was waited for, in nanoseconds

	// Used by the goroutine that watches the link, alone.
	stuckPause time.Time // before this time another channel of names is not asked for
	yielded    bool      // a bulk channel was given up for names that were stuck, so that most is one less

	rtt         minRTT
	nBulk       atomic.Int32 // len(bulk), for the pacers
	nOpening    atomic.Int32 // channels for bulk data that are being opened, for the pacers
	read, write pacer

	mu        sync.Mutex // guards what follows
	err       error      // why it is over
	names     *channel   // nil in a further link; set by the manager's goroutine (or before it starts), which may read it without mu
	former    []*channel // channels of names that got stuck
	bulk      []*channel // channels for data; the slice is replaced as a whole, never changed
	opening   int        // channels of any kind that are being opened: each has a place on the server, and an answer is outstanding
	full      bool       // no more channels are granted
	openAfter time.Time  // before this time no channel is asked for
	droppedAt time.Time  // when a channel was last given up
	lostNames bool       // the channel of names was lost once

	copies      *channel // for copy-data alone; nil where there is none
	copyOpening bool
}

func (l *link) pacer(dir int) *pacer {
	if dir == reading {
		return &l.read
	}
	return &l.write
}

func (c *Conn) newLink(t transport.Transport) *link {
	l := &link{c: c, t: t, done: make(chan struct{}), relayed: t.Info().Relayed, suspected: make(chan struct{}, 1)}
	switch {
	case c.o.MaxChannels > 0:
		l.most.Store(int32(c.o.MaxChannels))
	case t.Info().Shared:
		l.most.Store(sharedChannels)
	default:
		l.most.Store(aloneChannels)
	}
	l.ctx, l.cancel = context.WithCancel(c.ctx)
	l.read.start(l)
	l.write.start(l)
	c.spawn(l.watchIdle)
	return l
}

// close tears the link down as a whole; the first reason counts. It never blocks on the peer.
func (l *link) close(cause error) {
	l.mu.Lock()
	if l.err != nil {
		l.mu.Unlock()
		return
	}
	l.err = cause
	channels := l.all()
	l.bulk = nil
	close(l.done)
	l.mu.Unlock()
	l.cancel()
	if isSilence(cause) {
		// First, so that the sessions have this reason and not the end of the transport: no request in flight is to blame for it (losses).
		for _, ch := range channels {
			ch.s.End(cause)
		}
	}
	l.t.Close()
	for _, ch := range channels {
		ch.s.Close()
	}
	l.read.stop()
	l.write.stop()
}

func (l *link) cause() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

func (l *link) firstLoss() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := !l.lostNames
	l.lostNames = true
	return first
}

// suspect has the link probed at once.
func (l *link) suspect() {
	select {
	case l.suspected <- struct{}{}:
	default:
	}
}

// channels returns all that are open, the channel of names first.
func (l *link) channels() []*channel {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all()
}

// all is channels with mu held.
func (l *link) all() []*channel {
	var all []*channel
	if l.names != nil {
		all = append(all, l.names)
	}
	all = append(all, l.former...)
	all = append(all, l.bulk...)
	if l.copies != nil {
		all = append(all, l.copies)
	}
	return all
}

func (l *link) bulkChannels() []*channel {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bulk
}

// soonest returns the open channel on which a small request will be answered first: one with nothing slow in flight, and of those the
// one with the fewest requests; nil where no channel is open.
func (l *link) soonest() *channel {
	var best *channel
	var slow bool
	var least int
	for _, ch := range l.channels() {
		if ch.over() {
			continue
		}
		s, n := ch.s.Slow(), ch.s.InFlight()
		if best == nil || slow && !s || s == slow && n < least {
			best, slow, least = ch, s, n
		}
	}
	return best
}

func (l *link) inFlight() int {
	l.mu.Lock()
	n := l.opening
	l.mu.Unlock()
	for _, ch := range l.channels() {
		n += ch.s.InFlight()
	}
	return n
}

// waited is how long the oldest request in flight has been waited for; 0 where there is none.
func (l *link) waited() (longest time.Duration) {
	for _, ch := range l.channels() {
		longest = max(longest, ch.s.Stall().Age)
	}
	return longest
}

// sample has the pacers learn from the round trip of a small request.
func (l *link) sample(call *session.Call) {
	if rtt := call.RTT(); rtt > 0 {
		l.rtt.add(rtt)
	}
}
