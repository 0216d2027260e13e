package sftpconn

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// newNetwork makes a network of its own for the test, with nothing in it but a loopback interface that is down.
func newNetwork(t *testing.T) (netns.NsHandle, *netlink.Handle, netlink.Link) {
	t.Helper()
	runtime.LockOSThread()
	old, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	ns, err := netns.New()
	if err != nil {
		runtime.UnlockOSThread()
		t.Skipf("no network namespace can be made (root may): %v", err)
	}
	t.Cleanup(func() { ns.Close() })
	if err := netns.Set(old); err != nil {
		t.Fatal(err) // the thread stays locked, and ends with this goroutine
	}
	runtime.UnlockOSThread()
	in, err := netlink.NewHandleAt(ns)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(in.Close)
	lo, err := in.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	return ns, in, lo
}

func TestAChangeOfTheNetworkIsNoticed(t *testing.T) {
	block := &net.IPNet{IP: net.IPv4(10, 1, 2, 0).To4(), Mask: net.CIDRMask(24, 32)}
	for _, row := range []struct {
		what     string
		up       bool // before it is watched
		do, undo func(in *netlink.Handle, lo netlink.Link) error
	}{
		{"link", false,
			func(in *netlink.Handle, lo netlink.Link) error { return in.LinkSetMTU(lo, 1400) },
			func(in *netlink.Handle, lo netlink.Link) error { return in.LinkSetMTU(lo, 1500) }},
		{"address", false,
			func(in *netlink.Handle, lo netlink.Link) error { return in.AddrAdd(lo, &netlink.Addr{IPNet: block}) },
			func(in *netlink.Handle, lo netlink.Link) error { return in.AddrDel(lo, &netlink.Addr{IPNet: block}) }},
		{"route", true,
			func(in *netlink.Handle, lo netlink.Link) error {
				return in.RouteAdd(&netlink.Route{LinkIndex: lo.Attrs().Index, Dst: block})
			},
			func(in *netlink.Handle, lo netlink.Link) error {
				return in.RouteDel(&netlink.Route{LinkIndex: lo.Attrs().Index, Dst: block})
			}},
	} {
		t.Run(row.what, func(t *testing.T) {
			ns, in, lo := newNetwork(t)
			if row.up {
				if err := in.LinkSetUp(lo); err != nil {
					t.Fatal(err)
				}
			}
			c := newConn(Options{Logger: slog.New(slog.DiscardHandler)})
			c.spawn(func() { c.watchNetwork(ns) })
			defer c.Close()
			// It is done again and again, because nobody says when the watching has begun.
			eventually(t, "the change is noticed", func() bool {
				if err := errors.Join(row.do(in, lo), row.undo(in, lo)); err != nil {
					t.Fatal(err)
				}
				return len(c.kick) == 1
			})
		})
	}
}

// The kernel keeps so many events for us and no more; then it says that some were lost.
func TestTheNetworkIsStillWatchedAfterABurstOfEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newConn(Options{Logger: slog.New(slog.DiscardHandler)})
		noted, asked := 0, 0
		var open atomic.Int32
		c.spawn(func() {
			follow(c, func() { noted++ }, func(events chan<- int, done <-chan struct{}) error {
				if asked++; asked == 2 {
					return errors.New("too many open files")
				}
				burst := asked == 1
				open.Add(1)
				go func() { <-done; open.Add(-1) }()
				go func() {
					defer close(events)
					events <- 1
					if !burst {
						<-done
					}
				}()
				return nil
			})
		})
		time.Sleep(10 * resubscribe)
		synctest.Wait()
		if asked != 3 || open.Load() != 1 {
			t.Errorf("subscribed %d times, %d are open", asked, open.Load())
		}
		if noted != 3 { // what was lost counts as an event
			t.Errorf("%d events", noted)
		}
		c.Close()
		synctest.Wait()
		if open.Load() != 0 {
			t.Errorf("%d subscriptions are open in the end", open.Load())
		}
	})
}

// sleep does to the clock what a sleep of this machine does.
func (k *clock) sleep(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.offset -= d
}

func TestAWakeUpIsNoticed(t *testing.T) {
	for _, row := range []struct {
		slept   time.Duration
		noticed bool
	}{{time.Hour, true}, {jump / 2, false}, {0, false}} {
		synctest.Test(t, func(t *testing.T) {
			c := newConn(Options{Logger: slog.New(slog.DiscardHandler)})
			c.spawn(c.watchClock)
			defer c.Close()
			time.Sleep(time.Minute)
			if len(c.kick) != 0 {
				t.Error("a wake-up without a sleep")
			}
			c.clock.sleep(row.slept)
			time.Sleep(10 * time.Second)
			if noticed := len(c.kick) == 1; noticed != row.noticed {
				t.Errorf("a sleep of %v is noticed: %v", row.slept, noticed)
			}
			if c.clock.jumped() {
				t.Error("one sleep counts twice")
			}
		})
	}
}

func TestARequestAfterASleepDoesNotWaitForTheBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gate stubGate
		c := underStub(t, gate.dial)
		gate.shut(errors.New("the host is down"))
		synctest.Wait()
		for time.Until(c.Status().NextTry) < time.Second || c.pausesLong() {
			time.Sleep(10 * time.Millisecond)
		}
		c.clock.sleep(time.Hour)
		gate.open()
		ctx, cancel := context.WithCancel(t.Context())
		asked := make(chan struct{})
		go func() {
			defer close(asked)
			_, _ = c.Lstat(ctx, "/") // the stub does not answer
		}()
		synctest.Wait()
		if !c.Status().Connected {
			t.Error("the request waits for the next planned attempt")
		}
		cancel()
		<-asked
	})
}
