package sftpconn

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"sshmount/sftpconn/transport"
)

// The line dies between the login of a reconnect and the greeting of the SFTP server. Where the server has said nothing
// by then it may just as well be slow, and is waited for as long as one that can't be asked.
func TestALineThatIsSilentBeforeTheGreetingIsGivenUpForAnother(t *testing.T) {
	for name, line := range map[string]struct{ pipe, spoke bool }{"pipe": {pipe: true}, "nothing said": {}, "something said": {spoke: true}} {
		synctest.Test(t, func(t *testing.T) {
			lines := make(chan *stubLine, 10)
			n := 0
			c := underStub(t, func(context.Context) (transport.Transport, error) {
				l := newStub(line.pipe)
				switch n++; {
				case n == 2 && line.spoke:
					l.silence()
					l.stall(time.Hour)
				case n == 2:
					l.freeze()
				}
				lines <- l
				return l, nil
			})
			(<-lines).Close()
			second := <-lines
			if line.spoke {
				time.Sleep(3 * c.o.AliveInterval) // a probe was answered
				second.freeze()
			}
			begun := time.Now()
			<-lines
			limit := c.o.AliveInterval * time.Duration(c.o.AliveCountMax)
			if !line.spoke {
				limit *= busyFactor
			}
			if took := time.Since(begun); took < limit-c.o.AliveInterval || took > limit+3*time.Second {
				t.Errorf("%s: given up after %v", name, took)
			}
			synctest.Wait()
			if s := c.Status(); !s.Connected {
				t.Errorf("%s: no connection: %s", name, s.LastError)
			}
		})
	}
}

// sshd answers nothing at all while it begins a session (PAM).
func TestAServerThatIsMuteForHalfAMinuteBehindTheLoginIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := underStub(t, func(context.Context) (transport.Transport, error) {
			l := newStub(false)
			l.stall(36 * time.Second)
			l.freeze()
			time.AfterFunc(35*time.Second, l.thaw) // before the channel is opened, not in the same instant
			return l, nil
		})
		if s := c.Status(); !s.Connected {
			t.Errorf("no connection: %s", s.LastError)
		}
	})
}
