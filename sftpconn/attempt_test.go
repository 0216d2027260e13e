package sftpconn

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sshmount/sftpconn/transport"
)

// begins is a dialer that tells when each attempt begins, from the second on. The first stuck ones of these get
// nowhere; the next lasts slow.
func begins(stuck int, slow time.Duration) (dial transport.Dialer, begun chan transport.Transport) {
	begun = make(chan transport.Transport, 100)
	first := true
	return func(ctx context.Context) (transport.Transport, error) {
		tr, err := stubDialer(ctx)
		begun <- tr
		if first {
			first = false
			return tr, err
		}
		wait := slow
		if stuck > 0 {
			stuck--
			wait = dialLimit
		}
		select {
		case <-time.After(wait):
			return tr, err
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}, begun
}

func TestAnAttemptIsBegunAnewWhenTheNetworkHasChangedUnderIt(t *testing.T) {
	for _, row := range []struct {
		what         string
		kicked, anew time.Duration // after the beginning of the attempt
	}{
		{"young", redialAge / 4, redialAge},
		{"old", 5 * redialAge, 5 * redialAge},
	} {
		t.Run(row.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dial, begun := begins(1, 0)
				c := underStub(t, dial)
				(<-begun).Close()
				<-begun // to an address that is gone
				start := time.Now()
				time.Sleep(row.kicked)
				c.Kick()
				<-begun
				if took := time.Since(start); took != row.anew {
					t.Errorf("begun anew after %v", took)
				}
				synctest.Wait()
				if !c.Status().Connected {
					t.Error("no connection")
				}
			})
		})
	}
}

func TestASlowLoginSucceedsWhileTheNetworkChangesAllTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, begun := begins(0, 5*redialAge)
		c := underStub(t, dial)
		(<-begun).Close()
		<-begun
		for start := time.Now(); !c.Status().Connected; time.Sleep(redialAge / 2) {
			if time.Since(start) > dialLimit {
				t.Fatalf("no connection after %d attempts", len(begun)+1)
			}
			c.Kick()
		}
	})
}

// The network changes while the server is about to refuse the login.
func TestARefusalCountsAlsoOfAnAttemptThatIsBegunAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dials atomic.Int32
		first := make(chan transport.Transport, 1)
		c := underStub(t, func(ctx context.Context) (transport.Transport, error) {
			if dials.Add(1) == 1 {
				tr, err := stubDialer(ctx)
				first <- tr
				return tr, err
			}
			<-ctx.Done()
			return nil, &transport.PermanentError{Err: errors.New("key refused")}
		})
		(<-first).Close()
		time.Sleep(redialAge / 2)
		c.Kick()
		time.Sleep(redialAge)
		if n := dials.Load(); n != 2 {
			t.Errorf("%d logins; the refusal of the second does not count", n)
		}
	})
}

// The server's program hangs as it begins, as for want of a disk that comes back, or is slow to begin each time.
func TestAServerThatDoesNotGreetIsAskedAnewBeforeProgramsHaveWaitedTooLong(t *testing.T) {
	for name, stalls := range map[string][]time.Duration{
		"hangs once": {time.Hour, 0},
		"is slow":    {50 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := -1
			var first *stubLine
			c := underStub(t, func(context.Context) (transport.Transport, error) {
				l := newStub(false)
				if n++; n == 0 {
					first = l
				} else {
					l.silence() // it is alive all the time
					l.stall(stalls[min(n, len(stalls))-1])
				}
				return l, nil
			})
			first.Close()
			synctest.Wait()
			ctx, cancel := c.Bounded(t.Context())
			defer cancel()
			if _, err := c.channel(ctx); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if n > len(stalls) {
				t.Errorf("%s: %d attempts", name, n)
			}
		})
	}
}
