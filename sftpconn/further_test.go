package sftpconn

import (
	"errors"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
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
