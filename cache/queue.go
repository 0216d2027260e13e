package cache

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"syscall"

	"sshmount/sftpconn"
)

const (
	maxBacklog  = 10_000 // changes answered and not yet confirmed; who adds one more waits
	maxUnderWay = 64     // changes sent at a time
)

// change is one operation on names or attributes, as the server is to carry it out.
type change struct {
	op    string
	paths []string // the names it is about
	names []place  // the same, in the tree: forgotten when the change fails after it was answered
	sure  bool     // the outcome is known beforehand: with Async the program need not wait
	node  *Node    // whose attributes become unknown when the change fails after it was answered; may be nil
	run   func(ctx context.Context) error
}

// queue carries changes out. Without Async each is run at once by the program that wants it. With Async,
// changes whose outcome is known are answered at once and run in the background: in the order given for
// each name, and between names where one is in the other (a directory before what is in it, what is in it
// before its removal or move), side by side else.
type queue struct {
	c     *Cache
	count atomic.Int64  // changes pending; 0 is the fast path of wait
	slots chan struct{} // one token for each change under way
	room  chan struct{} // one token for each change of the backlog

	mu    sync.Mutex // guards at and under; taken after Cache.mu where both are
	at    map[string][]*pending
	under map[string]map[*pending]struct{} // by each directory above a pending change's path
}

// pending is a change not yet confirmed. done is closed by whoever ran it.
type pending struct {
	change
	done chan struct{}
}

func newQueue(c *Cache) *queue {
	return &queue{
		c: c, slots: make(chan struct{}, maxUnderWay), room: make(chan struct{}, maxBacklog),
		at: map[string][]*pending{}, under: map[string]map[*pending]struct{}{},
	}
}

// busy says whether any change is pending.
func (q *queue) busy() bool { return q.count.Load() > 0 }

// submit carries a change out. done is false where it was only accepted: its outcome is then predicted by the caller.
func (q *queue) submit(ctx context.Context, ch change) (done bool, err error) {
	if !q.c.o.Async {
		return true, ch.run(ctx)
	}
	if ch.sure {
		select {
		case q.room <- struct{}{}:
		case <-ctx.Done():
			return true, q.c.errno(ctx, ch.op, ch.paths[0], context.Cause(ctx))
		}
	}
	p := &pending{change: ch, done: make(chan struct{})}
	before := q.enter(p)
	if ch.sure {
		q.c.beginChange(ch.node)
		if !q.c.background(func(ctx context.Context) { q.later(ctx, p, before) }) {
			q.c.endChange(ch.node)
			q.leave(p)
			<-q.room
			return true, q.c.fail(ch.op, ch.paths[0], syscall.EIO, errors.New("the mount is being ended"))
		}
		return false, nil
	}
	defer q.leave(p)
	if err := waitAll(ctx, before); err != nil {
		return true, q.c.errno(ctx, ch.op, ch.paths[0], err)
	}
	return true, ch.run(ctx)
}

// later runs a change that was answered already.
func (q *queue) later(ctx context.Context, p *pending, before []*pending) {
	defer func() { <-q.room }()
	defer q.leave(p)
	defer q.c.endChange(p.node)
	if err := waitAll(ctx, before); err != nil {
		q.failed(p, err)
		return
	}
	select {
	case q.slots <- struct{}{}:
		defer func() { <-q.slots }()
	case <-ctx.Done():
		q.failed(p, context.Cause(ctx))
		return
	}
	if err := p.run(sftpconn.Patient(ctx)); err != nil {
		q.failed(p, err)
	}
}

// beginChange notes that a node's attributes here run ahead of the server's.
func (c *Cache) beginChange(n *Node) {
	if n == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n.sent++
	c.pin(n)
}

// endChange notes that the server has caught up: answers that crossed with the change are not kept.
func (c *Cache) endChange(n *Node) {
	if n == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n.sent--
	n.gen++
	n.pins--
	c.settle(n)
}

// failed reports a change that failed after its program was told that it is done, and forgets what was predicted.
func (q *queue) failed(p *pending, err error) {
	if errors.Is(err, context.Canceled) {
		err = errors.New("the mount ended before it was sent")
	}
	q.c.report(p.op, p.paths[0], err)
	q.c.mu.Lock()
	for _, at := range p.names {
		if p.node != nil && q.c.child(at.dir, at.name) != p.node {
			continue // something else has the name by now
		}
		delete(at.dir.dir.missing, at.name)
		q.c.forgetName(at.dir, at.name)
		q.c.distrust(at.dir)
	}
	if p.node != nil {
		q.c.changed(p.node)
		q.c.stale(p.node)
	}
	q.c.mu.Unlock()
	for _, at := range p.names {
		q.c.notifyName(at.dir.id, at.name)
	}
	if p.node != nil {
		q.c.notifyContent(p.node.id)
	}
}

// enter registers a change and says which earlier ones it must wait for.
func (q *queue) enter(p *pending) []*pending {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.count.Add(1)
	before := map[*pending]struct{}{}
	for _, path := range p.paths {
		q.conflicts(path, true, before)
	}
	for _, path := range p.paths {
		q.at[path] = append(q.at[path], p)
		above(path, func(dir string) {
			set := q.under[dir]
			if set == nil {
				set = map[*pending]struct{}{}
				q.under[dir] = set
			}
			set[p] = struct{}{}
		})
	}
	return keys(before)
}

// conflicts collects the pending changes at path, above it and, with below, under it. Called with mu held.
func (q *queue) conflicts(path string, below bool, into map[*pending]struct{}) {
	for _, p := range q.at[path] {
		into[p] = struct{}{}
	}
	above(path, func(dir string) {
		for _, p := range q.at[dir] {
			into[p] = struct{}{}
		}
	})
	if below {
		for p := range q.under[path] {
			into[p] = struct{}{}
		}
	}
}

// leave ends a change.
func (q *queue) leave(p *pending) {
	q.mu.Lock()
	for _, path := range p.paths {
		list := q.at[path]
		for i, other := range list {
			if other == p {
				list = append(list[:i:i], list[i+1:]...)
				break
			}
		}
		if len(list) == 0 {
			delete(q.at, path)
		} else {
			q.at[path] = list
		}
		above(path, func(dir string) {
			delete(q.under[dir], p)
			if len(q.under[dir]) == 0 {
				delete(q.under, dir)
			}
		})
	}
	q.count.Add(-1)
	q.mu.Unlock()
	close(p.done)
}

// wait returns when no change is pending at path or above it.
func (q *queue) wait(ctx context.Context, path string) error { return q.waitFor(ctx, path, false) }

// waitUnder is wait for everything in a directory too.
func (q *queue) waitUnder(ctx context.Context, path string) error { return q.waitFor(ctx, path, true) }

func (q *queue) waitFor(ctx context.Context, path string, below bool) error {
	if !q.busy() {
		return nil
	}
	set := map[*pending]struct{}{}
	q.mu.Lock()
	q.conflicts(path, below, set)
	q.mu.Unlock()
	return waitAll(ctx, keys(set))
}

// waitIn returns when no change is pending at a directory, above it, or of a name in it: what the server lists then is not
// older than what programs were told.
func (q *queue) waitIn(ctx context.Context, dir string) error {
	if !q.busy() {
		return nil
	}
	set := map[*pending]struct{}{}
	q.mu.Lock()
	q.conflicts(dir, false, set)
	for p := range q.under[dir] {
		for _, path := range p.paths {
			if parentPath(path) == dir {
				set[p] = struct{}{}
			}
		}
	}
	q.mu.Unlock()
	return waitAll(ctx, keys(set))
}

// drain waits until no change is pending.
func (q *queue) drain(ctx context.Context) error {
	for q.busy() {
		set := map[*pending]struct{}{}
		q.mu.Lock()
		for _, list := range q.at {
			for _, p := range list {
				set[p] = struct{}{}
			}
		}
		q.mu.Unlock()
		if err := waitAll(ctx, keys(set)); err != nil {
			return err
		}
	}
	return nil
}

func waitAll(ctx context.Context, list []*pending) error {
	for _, p := range list {
		select {
		case <-p.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// above calls f for each directory above a path, nearest first.
func above(path string, f func(dir string)) {
	for i := len(path) - 1; i > 0; i-- {
		if path[i] == '/' {
			f(path[:i])
		}
	}
}

func keys(set map[*pending]struct{}) []*pending {
	list := make([]*pending, 0, len(set))
	for p := range set {
		list = append(list, p)
	}
	return list
}
