package sftpconn

import (
	"context"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

const (
	// jump is how far the wall clock must have run ahead of the monotonic one, which
	// stands still while the machine sleeps, to be taken for a sleep.
	jump = 10 * time.Second

	// networkQuiet is the wait after an event of the network. All events that come meanwhile count as one change.
	networkQuiet = 300 * time.Millisecond

	// resubscribe is the pause before events of the network are asked for again.
	resubscribe = time.Second
)

// clock notices that the machine has slept.
type clock struct {
	mu     sync.Mutex // guards what follows
	begun  time.Time
	offset time.Duration // how far the wall clock had run ahead of the monotonic one at the last call
}

func (k *clock) start() { k.begun = time.Now() }

// jumped reports whether the machine has slept since the last call.
func (k *clock) jumped() bool {
	now := time.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	offset := now.Round(0).Sub(k.begun.Round(0)) - now.Sub(k.begun)
	slept := offset-k.offset > jump
	k.offset = offset
	return slept
}

// watchClock nudges after the machine has slept, until c is closed.
func (c *Conn) watchClock() {
	t := time.NewTicker(5 * time.Second)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			if c.clock.jumped() {
				c.o.Logger.Info("this machine seems to have slept; looking whether the connection has survived")
				c.nudge()
			}
		case <-c.ctx.Done():
			return
		}
	}
}

// watchNetwork nudges when an address, a route or a link of this machine changes (in
// the namespace ns where there is one), until c is closed. Where that can't be watched
// (no netlink), attempts to connect follow the back-off alone.
func (c *Conn) watchNetwork(ns netns.NsHandle) {
	changed := make(chan struct{}, 1)
	note := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	failed := func(err error) { c.o.Logger.Debug("watching the network", "cause", err) }
	wg.Go(func() {
		follow(c, note, func(events chan<- netlink.AddrUpdate, done <-chan struct{}) error {
			return netlink.AddrSubscribeWithOptions(events, done, netlink.AddrSubscribeOptions{Namespace: &ns, ErrorCallback: failed})
		})
	})
	wg.Go(func() {
		follow(c, note, func(events chan<- netlink.RouteUpdate, done <-chan struct{}) error {
			return netlink.RouteSubscribeWithOptions(events, done, netlink.RouteSubscribeOptions{Namespace: &ns, ErrorCallback: failed})
		})
	})
	wg.Go(func() {
		follow(c, note, func(events chan<- netlink.LinkUpdate, done <-chan struct{}) error {
			return netlink.LinkSubscribeWithOptions(events, done, netlink.LinkSubscribeOptions{Namespace: &ns, ErrorCallback: failed})
		})
	})
	for {
		select {
		case <-changed:
		case <-c.ctx.Done():
			return
		}
		select {
		case <-time.After(networkQuiet):
		case <-c.ctx.Done():
			return
		}
		select {
		case <-changed:
		default:
		}
		c.nudge()
	}
}

// follow calls note for each event of a subscription, and subscribes again when that ends: it
// does when more events come at once than the kernel keeps for us. The change that matters may
// be among those that were lost, so the end counts as an event, too.
func follow[T any](c *Conn, note func(), subscribe func(events chan<- T, done <-chan struct{}) error) {
	for first := true; ; first = false {
		events, done := make(chan T), make(chan struct{})
		err := subscribe(events, done)
		if err != nil {
			c.o.Logger.Debug("changes of the network cannot be watched", "cause", err)
			if first {
				return
			}
		} else {
			stop := context.AfterFunc(c.ctx, func() { close(done) })
			for range events {
				note()
			}
			if !stop() {
				return
			}
			close(done) // gives the socket back
			note()
		}
		select {
		case <-time.After(resubscribe):
		case <-c.ctx.Done():
			return
		}
	}
}

// Kick is the user's wish to look after the line: where it is down, an attempt to connect begins at once; where it is up, it is
// probed. It does not wait.
func (c *Conn) Kick() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

// LastTry makes one more attempt to connect where the line was given up (ReconnectTimeout), because what is unsaved would be given up
// with it, and the server may be back. It returns when there is a connection, when the attempt has failed, or when ctx ends. It
// returns at once where the line was not given up, and while attempts are forbidden because the server has refused a login.
func (c *Conn) LastTry(ctx context.Context) {
	c.mu.Lock()
	if time.Now().Round(0).Before(c.noNudgeBefore) {
		c.mu.Unlock()
		return
	}
	before := c.failures
	c.mu.Unlock()
	for first := true; ; first = false {
		c.mu.Lock()
		over, changed := !c.gaveUp || c.closed || c.failures > before, c.changed
		c.mu.Unlock()
		if over {
			return
		}
		if first {
			c.Kick()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}
