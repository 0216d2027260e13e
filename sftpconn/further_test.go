package sftpconn

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
	"sshmount/sftpconn/transport"
)

// A further connection ends with the first: both who lose it count what it has moved.
func TestBytesOfConnectionsThatEndTogetherAreCountedOnce(t *testing.T) {
	tap := sftptest.NewTap()
	srv := sftptest.New(t, sftptest.WithTap(tap))
	c := connect(t, srv, func(o *Options) { o.MaxConns, o.MaxChannels = 2, 2 })
	tap.SetDelay(20 * time.Millisecond)
	want := content(9, 16<<20)
	f := openFile(t, c, file(t, srv, "f", want), rd)
	eventually(t, "a further connection has carried something", func() bool {
		if _, err := readAll(limited(t), f, len(want), 64); err != nil {
			t.Fatal(err)
		}
		if links := c.allLinks(); len(links) > 1 {
			n, _ := links[1].read.metered()
			return n > 0
		}
		return false
	})
	before := c.Status().BytesRead
	links := c.allLinks()
	c.mu.Lock() // as setDown does where it comes first
	c.links = links[:1]
	c.countPast(links[1])
	c.mu.Unlock()
	links[1].close(errors.New("closed by the test"))
	eventually(t, "the further connection is gone", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.extra == 0
	})
	if after := c.Status().BytesRead; after != before {
		t.Errorf("%d bytes read before, %d after, and nothing was read", before, after)
	}
}

// refusedFurther makes a connection beside which none is had; dialled counts what was tried.
func refusedFurther(t *testing.T, refusal *transport.PermanentError) (c *Conn, dialled *atomic.Int32, log *bytes.Buffer) {
	t.Helper()
	dialled, log = new(atomic.Int32), new(bytes.Buffer)
	srv := sftptest.New(t)
	c = connect(t, srv, func(o *Options) {
		o.MaxConns, o.Logger = 4, slog.New(slog.NewTextHandler(log, nil))
		dial := o.Dial
		o.Dial = func(ctx context.Context) (transport.Transport, error) {
			if transport.IsFurther(ctx) {
				dialled.Add(1)
				return nil, refusal
			}
			return dial(ctx)
		}
	})
	return c, dialled, log
}

// addLinkNow asks for a further connection as if the pause were over, and gives the next pause.
func addLinkNow(t *testing.T, c *Conn) time.Duration {
	t.Helper()
	c.mu.Lock()
	c.extraAfter = time.Time{}
	c.mu.Unlock()
	c.addLink()
	var pause time.Duration
	eventually(t, "the attempt is over", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		pause = time.Until(c.extraAfter).Round(10 * time.Second)
		return c.extra == 0
	})
	return pause
}

func TestAFurtherLoginThatTheServerHasJudgedIsNotTriedAgain(t *testing.T) {
	c, dialled, log := refusedFurther(t, &transport.PermanentError{Err: errors.New("login refused"), Login: true})
	for range 3 {
		addLinkNow(t, c)
	}
	if n := dialled.Load(); n != 1 {
		t.Errorf("%d logins", n)
	}
	c.Close() // nobody writes to the log any more
	if n := strings.Count(log.String(), "refuses a further login"); n != 1 {
		t.Errorf("said %d times", n)
	}
}

func TestAFurtherConnectionThatIsRefusedForGoodIsTriedMoreAndMoreSeldom(t *testing.T) {
	c, dialled, _ := refusedFurther(t, &transport.PermanentError{Err: errors.New("no such thing")})
	for i, want := range []time.Duration{refusedPause, 2 * refusedPause, 4 * refusedPause} {
		if got := addLinkNow(t, c); got != want {
			t.Errorf("the pause after %d refusals is %v, and not %v", i+1, got, want)
		}
	}
	if n := dialled.Load(); n != 3 {
		t.Errorf("%d attempts", n)
	}
}
