package sftpconn

import (
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
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
