package sftpconn

import (
	"sync"
	"time"

	"github.com/vishvananda/netlink"
)

const (
	// jump is how far the clock of the day must run ahead of the monotonic one, which
	// stands still while the machine sleeps, to be taken for a wake-up.
	jump = 10 * time.Second

	// settle gathers the events of one change of network into one.
	settle = 300 * time.Millisecond
)

// clock notices that the machine has slept.
type clock struct {
	mu     sync.Mutex // guards what follows
	begun  time.Time
	offset time.Duration // of the clock of the day against the monotonic one
}

func (k *clock) start() { k.begun = time.Now() }

// jumped says whether the machine has slept since the last call.
func (k *clock) jumped() bool {
	now := time.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	offset := now.Round(0).Sub(k.begun.Round(0)) - now.Sub(k.begun)
	slept := offset-k.offset > jump
	k.offset = offset
	return slept
}

// watchClock tries at once after a wake-up.
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

// watchNetwork tries at once when an address, a route or a link of this machine
// changes. Where that can't be watched (no netlink), reconnecting follows its
// back-off alone.
func (c *Conn) watchNetwork() {
	done := make(chan struct{})
	changed := make(chan struct{}, 1)
	note := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(done)

	addrs := make(chan netlink.AddrUpdate)
	if c.watching(netlink.AddrSubscribe(addrs, done)) {
		wg.Go(func() { drain(addrs, note) })
	}
	routes := make(chan netlink.RouteUpdate)
	if c.watching(netlink.RouteSubscribe(routes, done)) {
		wg.Go(func() { drain(routes, note) })
	}
	links := make(chan netlink.LinkUpdate)
	if c.watching(netlink.LinkSubscribe(links, done)) {
		wg.Go(func() { drain(links, note) })
	}
	for {
		select {
		case <-changed:
		case <-c.ctx.Done():
			return
		}
		select {
		case <-time.After(settle):
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

func (c *Conn) watching(err error) bool {
	if err != nil {
		c.o.Logger.Debug("changes of the network cannot be watched", "cause", err)
	}
	return err == nil
}

// drain reports each event until the subscription, which closes events, ends.
func drain[T any](events <-chan T, note func()) {
	for range events {
		note()
	}
}
