package sftpconn

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"sshmount/sftpconn/transport"
)

// The user has chosen how long a server may take, and this one opens no session at first. Then it takes longer than that, and is
// waited for all the same.
func TestAServerThatOpensNoSessionIsLeftForAnotherAfterTheTimeThatTheUserHasChosen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const chosen = 4 * time.Second
		lines := make(chan *stubLine, 10)
		stalls := []time.Duration{0, time.Hour, chosen + chosen/2}
		n := 0
		c := underStub(t, func(context.Context) (transport.Transport, error) {
			l := newStub(false)
			l.silence() // it is alive all the time
			l.stall(stalls[n])
			n++
			lines <- l
			return l, nil
		}, func(o *Options) { o.GreetTimeout = chosen })
		(<-lines).Close()
		<-lines
		begun := time.Now()
		<-lines
		if took := time.Since(begun); took < chosen || took > chosen+time.Second {
			t.Errorf("given up after %v", took)
		}
		time.Sleep(2 * chosen)
		synctest.Wait()
		if s := c.Status(); !s.Connected {
			t.Errorf("no connection: %s", s.LastError)
		}
	})
}
