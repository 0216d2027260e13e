package sftpconn

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/transport"
)

// channel is one SFTP session of a link.
type channel struct {
	link  *link
	s     *session.Session
	names bool // it is the channel of names, or was until it got stuck (former)
	since time.Time

	former  atomic.Bool // another is the channel of names now
	stuck   atomic.Bool // the server does not finish a request on it: that is why it is former
	yielded atomic.Bool // it was closed here, because something else needed its place

	// Used by the goroutine of watchIdle, alone.
	started uint32    // what s.Started said when it was last looked at
	usedAt  time.Time // when it last was found in use

	load [2]atomic.Int64 // bytes in flight, by direction
}

// Directions of data.
const (
	reading = iota
	writing
)

func (ch *channel) over() bool {
	select {
	case <-ch.s.Done():
		return true
	default:
		return false
	}
}

func (ch *channel) pacer(dir int) *pacer { return ch.link.pacer(dir) }

// openChannel opens a channel and its session. like is a session of the same link that has been greeted: with it the greeting of the
// new one is not waited for. It may be nil.
func (l *link) openChannel(ctx context.Context, like *session.Session) (*channel, error) {
	if l.opened.Swap(true) && l.single.Load() {
		return nil, fmt.Errorf("the server would mix it up with the channel that is there: %w", transport.ErrNoMoreChannels)
	}
	raw, err := l.t.OpenChannel(ctx)
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	s, err := session.Open(ctx, raw, session.Options{Logger: l.c.o.Logger, Like: like})
	if err != nil {
		return nil, err
	}
	if s.MixesChannels() && !l.single.Swap(true) {
		l.c.o.Logger.Info("the server is most likely ProFTPD, which mixes up what comes over several channels of a connection, so it gets one; max_conns=N makes more connections")
	}
	now := time.Now()
	if like == nil {
		l.greeting.Store(int64(now.Sub(begun)))
	}
	return &channel{link: l, s: s, since: now, usedAt: now}, nil
}
