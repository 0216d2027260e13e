package sftpconn

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
	"sshmount/sftpconn/transport"
)

// That it was there for a moment only says nothing of the server: it was closed here.
func TestTheChannelInPlaceOfOneThatWasGivenUpYoungIsOpenedAtOnce(t *testing.T) {
	c := connect(t, sftptest.New(t, sftptest.MaxChannels(3)))
	l := c.allLinks()[0]
	l.grow(2)
	eventually(t, "the channels are open", func() bool { return len(l.bulkChannels()) == 2 })
	eventually(t, "one is given up", func() bool { l.copyChannel(); return len(l.bulkChannels()) == 1 })
	l.mu.Lock()
	defer l.mu.Unlock()
	if pause := time.Until(l.openAfter); pause > leaving {
		t.Errorf("the next is asked for %v later", pause)
	}
}

// slowLeaver is a line to a server that still counts a channel for a while after it was closed.
type slowLeaver struct {
	transport.Transport
	most    int
	counted atomic.Int32 // channels
	refused atomic.Int32 // how often one was not granted
	left    chan struct{}
}

func (l *slowLeaver) OpenChannel(ctx context.Context) (transport.Channel, error) {
	if int(l.counted.Add(1)) > l.most {
		l.counted.Add(-1)
		l.refused.Add(1)
		return nil, transport.ErrNoMoreChannels
	}
	ch, err := l.Transport.OpenChannel(ctx)
	return &slowlyLeft{Channel: ch, l: l}, err
}

type slowlyLeft struct {
	transport.Channel
	l *slowLeaver
}

func (c *slowlyLeft) Close() error {
	<-c.l.left
	c.l.counted.Add(-1)
	return c.Channel.Close()
}

func TestNoSecondChannelIsGivenUpWhileTheServerStillCountsTheFirst(t *testing.T) {
	srv := sftptest.New(t)
	line := &slowLeaver{most: 4, left: make(chan struct{})}
	c := connect(t, srv, func(o *Options) {
		o.Dial = func(ctx context.Context) (transport.Transport, error) {
			var err error
			line.Transport, err = srv.Dial(ctx)
			return line, err
		}
	})
	l := c.allLinks()[0]
	l.grow(3)
	eventually(t, "the channels are open", func() bool { return len(l.bulkChannels()) == 3 })
	eventually(t, "one is given up", func() bool { l.copyChannel(); return len(l.bulkChannels()) == 2 })
	eventually(t, "its place is not granted yet", func() bool { l.copyChannel(); return line.refused.Load() == 2 })
	eventually(t, "that is noted", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return !l.copyOpening && time.Now().Before(l.openAfter)
	})
	close(line.left)
	eventually(t, "there is a channel for copies", func() bool { return l.copyChannel() != nil })
	if n := len(l.bulkChannels()); n != 2 {
		t.Errorf("%d channels for bulk data, want 2", n)
	}
}
