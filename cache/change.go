package cache

import (
	"context"
	"errors"
	"slices"
	"syscall"

	"sshmount/sftpconn"
)

const (
	maxBacklog  = 10_000 // changes that were answered and are not confirmed yet; a program that adds one more waits
	maxUnderWay = 64     // of these, how many are sent at a time
)

// change is one operation on names or attributes, as the server is to carry it out. Its hooks are called with Cache.mu held, except run;
// the comment of queue says when. A hook may be nil where there is nothing to do, except run.
type change struct {
	op    string
	paths []string                    // what it is about, as it has its turn: paths, and Node.queueKey; as locate has told last, where there is one
	names []place                     // the names that it changes, of a rename the old one first; none where it changes attributes or content
	sure  bool                        // the outcome is known beforehand: with Async the program need not wait
	moves bool                        // it is a rename: what is below its paths has other paths afterwards
	free  bool                        // it takes no room in the backlog: the closing of a file, which nobody may wait for
	times bool                        // it sets the times of node: bytes that are written after it must not reach the server before it
	node  *Node                       // the node whose attributes or content it changes, or that it creates; may be nil
	run   func(context.Context) error // asks the server

	// locate gives the paths as they are now; nil where they don't depend on the tree. It is called in the same hold of the lock
	// in which the change gets its turn, so that no rename comes in between, and again where earlier changes had to be waited for.
	locate  func() ([]string, error)
	still   func() bool     // with sure: whether the outcome is as sure when it is to enter the tree; if not, submit returns errOvertaken
	predict func(*change)   // with sure: enters the outcome in the tree, before the server has answered; may set node
	enter   func(err error) // without sure: enters the server's answer in the tree; nil where the caller of submit does
}

// errOvertaken says that a change was not submitted, as its outcome is not sure any more: an earlier change, for which it had to wait, has
// changed what is known.
var errOvertaken = errors.New("another change came first")

// pending is a change in the queue.
type pending struct {
	change
	before []*pending    // the earlier changes that it waits for; nil when it is done; guarded by queue.mu
	moved  int           // how many renames have come in a row, each before the last was done, up to this change; set by add
	done   chan struct{} // closed by leave

	// For a change that is answered before it is done (-o async). Guarded by Cache.mu.
	entered bool    // its outcome is in the tree
	since   int64   // since when (Cache.now)
	has     []*Node // what its names had then, nil for nothing
	takes   place   // a name that it takes away from a node; without a directory there is none
}

// submit carries a change out. It returns done when the server has done it or it has failed; done is false where the change was only
// accepted, and its outcome is predicted.
func (q *queue) submit(ctx context.Context, ch change) (done bool, err error) {
	c := q.c
	ch.sure = ch.sure && c.o.Async
	if ch.sure && ch.moves {
		q.held.wait(ctx)
	}
	room := ch.sure && !ch.free
	if room {
		if err := q.takeBacklog(ctx); err != nil {
			return true, withErrno(ch.op, "", err)
		}
	}
	p, before, err := q.register(ctx, ch)
	switch {
	case err != nil && room:
		<-q.backlog
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
			<-q.backlog
		}
		return true, ended
	}
	if p.moved > maxMoves && p.moves {
		waiting, stop := c.bounded(ctx)
		defer stop()
		_ = waitAll(waiting, before) // it is on its way all the same
	}
	return false, nil
}

// takeBacklog waits for room in the backlog, and takes it.
func (q *queue) takeBacklog(ctx context.Context) error {
	select {
	case q.backlog <- struct{}{}:
		return nil
	default:
	}
	ctx, stop := q.c.bounded(ctx)
	defer stop()
	select {
	case q.backlog <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// register gives a change its turn, and returns the earlier ones that must be done before it is sent. When it returns, a change that is
// sure has entered the tree; for any other the earlier ones are done.
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
			first = nil // its outcome does not depend on them
		case ch.sure:
			// The outcome of those that have entered the tree is in its paths already.
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
				q.leave(p) // one of them was a rename above: it has to begin again, by other paths
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

// attend runs a change for a program that waits for it, and calls over when it is done. A program that gives up is answered at once. The
// change goes on to its end all the same, as the server may have been asked already, and over is not called before: until then nobody
// knows what has the name.
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
	// What was known before may not be the outcome: the next questions go to the server, and those about names wait for the change.
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

// path is the path for errors; "" where there is none.
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
