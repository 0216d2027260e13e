package cache

import (
	"context"
	"errors"
	"slices"
	"syscall"

	"sshmount/sftpconn"
)

const (
	maxBacklog  = 10_000 // changes answered and not yet confirmed; who adds one more waits
	maxUnderWay = 64     // of these, changes sent at a time
)

// change is one operation on names or attributes, as the server is to carry it out. All of its hooks but run are called with Cache.mu
// held; see queue for when. Those that are nil have nothing to do.
type change struct {
	op    string
	paths []string                    // the names it is about, and behind them Node.queueKey; with locate they are what it said last
	names []place                     // the same, in the tree; none where it is about attributes
	sure  bool                        // the outcome is known beforehand: with Async the program need not wait
	moves bool                        // it is a rename: what is under its paths has other paths afterwards
	free  bool                        // it takes no room in the backlog, as nobody may wait for that: the closing of a file
	times bool                        // it sets the times of node: bytes that are written after it must not come before it
	node  *Node                       // whose attributes become unknown when it can't be told what became of the change; may be nil
	run   func(context.Context) error // asks the server

	// locate says the paths as they are now; nil where they don't depend on the tree. It is called in the same hold of the lock
	// in which the change takes its turn, so that no rename gets in between, and again where one had to be waited for.
	locate  func() ([]string, error)
	still   func() bool     // only where it is sure: whether it is when it enters the tree; else submit gives errOvertaken. nil: it is
	predict func(*change)   // only where it is sure: enters its outcome before the server has answered; may set node
	enter   func(err error) // only where it is not sure: enters the server's answer; nil where the program that waits for it does
}

// errOvertaken says that a change was not submitted, as its outcome is not sure any more: what it had to wait for has changed what is known.
var errOvertaken = errors.New("another change came first")

// pending is a change not yet confirmed.
type pending struct {
	change
	entered bool          // the tree is what it will be when the change is done; guarded by Cache.mu
	since   int64         // when it was entered (Cache.now); guarded by Cache.mu
	has     []*Node       // what its names had when it had entered the tree, nil for nothing; guarded by Cache.mu
	takes   place         // a name that it takes away from a node; no directory: none; guarded by Cache.mu
	before  []*pending    // those that it waits for, until it is done; guarded by queue.mu
	done    chan struct{} // closed by leave
}

// submit carries a change out. done is false where it was only accepted: its outcome has then been predicted.
func (q *queue) submit(ctx context.Context, ch change) (done bool, err error) {
	c := q.c
	ch.sure = ch.sure && c.o.Async
	room := ch.sure && !ch.free
	if room {
		if err := q.takeRoom(ctx); err != nil {
			return true, withErrno(ch.op, "", err)
		}
	}
	p, before, err := q.register(ctx, ch)
	switch {
	case err != nil && room:
		<-q.room
		return true, err
	case err != nil:
		return true, err
	case !ch.sure:
		return true, q.attend(ctx, p, func() { q.leave(p) })
	}
	if !c.background(func(ctx context.Context) { q.runAnswered(ctx, p, before) }) {
		ended := fail(ch.op, p.path(), syscall.EIO, errors.New("the mount is being ended"))
		c.mu.Lock()
		c.namesRefused(p, ended)
		c.mu.Unlock()
		c.endChange(p)
		c.doubt(&p.change)
		q.leave(p)
		if room {
			<-q.room
		}
		return true, ended
	}
	return false, nil
}

// takeRoom waits for room in the backlog.
func (q *queue) takeRoom(ctx context.Context) error {
	select {
	case q.room <- struct{}{}:
		return nil
	default:
	}
	ctx, stop := q.c.bounded(ctx)
	defer stop()
	select {
	case q.room <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// register gives a change its turn, and says which earlier ones must be done before it is sent. A change that is sure has entered
// the tree when register returns; for any other, register has waited until the earlier ones were done.
func (q *queue) register(ctx context.Context, ch change) (*pending, []*pending, error) {
	c := q.c
	for {
		c.mu.Lock()
		if err := ch.relocate(); err != nil {
			c.mu.Unlock()
			return nil, nil, err
		}
		paths := ch.paths
		p := &pending{change: ch, done: make(chan struct{})}
		var err error
		before := q.add(p)
		first := before
		switch {
		case ch.sure && ch.locate == nil:
			first = nil // nothing of it depends on them
		case ch.sure:
			// What those that are in the tree already will have done is in the paths.
			first = slices.DeleteFunc(slices.Clone(before), func(other *pending) bool { return other.entered })
		}
		if len(first) > 0 {
			c.mu.Unlock()
			waiting, stop := c.bounded(ctx)
			err = waitAll(waiting, first)
			stop()
			c.mu.Lock()
			if e := ch.relocate(); err == nil && (e != nil || !slices.Equal(ch.paths, paths)) {
				c.mu.Unlock()
				q.leave(p) // one of them was a rename above
				continue
			}
		}
		if err == nil && ch.sure && ch.still != nil && !ch.still() {
			err = errOvertaken
		}
		if err == nil && ch.sure {
			had := c.beginNames(p)
			if ch.predict != nil {
				ch.predict(&p.change)
			}
			c.namesEntered(p, had)
			c.beginChange(p)
			p.entered, p.since = true, c.now()
		}
		c.mu.Unlock()
		if err != nil {
			q.leave(p)
			return nil, nil, withErrno(ch.op, p.path(), err)
		}
		return p, before, nil
	}
}

// attend runs a change for a program that waits for it, and calls over when it is done. A program that gives up is answered at once;
// what the server may have been told by then is seen to its end all the same, and until then over is not called: nobody could
// say what has the name.
func (q *queue) attend(ctx context.Context, p *pending, over func()) error {
	c := q.c
	work, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	result := make(chan error, 1)
	if !c.background(func(end context.Context) {
		unhook := context.AfterFunc(end, func() { stop(context.Cause(end)) })
		defer unhook()
		c.mu.Lock()
		if p.node != nil {
			p.node.awaited++
		}
		c.mu.Unlock()
		err := p.run(p.turnIn(sftpconn.OnBehalf(work, ctx)))
		c.mu.Lock()
		if p.node != nil {
			p.node.awaited--
		}
		if p.enter != nil {
			p.enter(err)
		}
		c.mu.Unlock()
		if unanswered(err) || ctx.Err() != nil {
			c.doubt(&p.change)
		}
		over()
		stop(context.Canceled)
		result <- err
	}) {
		stop(context.Canceled)
		over()
		return fail(p.op, p.path(), syscall.EIO, errors.New("the mount is being ended"))
	}
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-result: // the answer came at the same moment
		return err
	default:
	}
	// Who asks from now on does not take what was known before for the outcome; for a change of names it waits for that.
	c.doubt(&p.change)
	return withErrno(p.op, p.path(), context.Cause(ctx))
}

// relocate brings the paths up to date. Called with Cache.mu held.
func (ch *change) relocate() (err error) {
	if ch.locate != nil {
		ch.paths, err = ch.locate()
	}
	return err
}

// path is the one that errors tell of.
func (ch *change) path() string {
	if len(ch.paths) == 0 {
		return ""
	}
	return ch.paths[0]
}

// unanswered says whether err leaves open whether the server has done what it was asked for.
func unanswered(err error) bool {
	return errors.Is(err, syscall.EINTR) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, sftpconn.ErrUnreachable) || errors.Is(err, sftpconn.ErrUncertain) || errors.Is(err, sftpconn.ErrMayBeDone) ||
		errors.Is(err, sftpconn.ErrClosed)
}

// runAnswered runs a change that was answered already.
func (q *queue) runAnswered(ctx context.Context, p *pending, before []*pending) {
	if !p.free {
		defer func() { <-q.room }()
	}
	defer q.leave(p)
	defer q.c.endChange(p)
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
	err := q.c.mayTake(p)
	if err == nil {
		err = p.run(p.turnIn(sftpconn.Patient(ctx)))
	}
	if err != nil {
		q.failed(p, err)
		return
	}
	q.c.mu.Lock()
	defer q.c.mu.Unlock()
	q.c.namesDone(p)
	q.c.doneLate(p)
}

// beginChange notes that a node's attributes here run ahead of the server's. Called with mu held.
func (c *Cache) beginChange(p *pending) {
	n := p.node
	if n == nil {
		return
	}
	n.sent++
	if p.times {
		n.sentTimes++
	}
	c.pin(n)
}

// endChange notes that the server has caught up: answers that crossed with the change are not kept.
func (c *Cache) endChange(p *pending) {
	n := p.node
	if n == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n.sent--
	if p.times {
		n.sentTimes--
	}
	n.gen++
	c.unpin(n)
}
