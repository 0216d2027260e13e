package cache

import (
	"context"

	"sshmount/sftpconn"
)

// runAnswered runs, in the background, a change whose program has its answer already. before are the earlier ones that it must wait for.
func (q *queue) runAnswered(ctx context.Context, p *pending, before []*pending) {
	if !p.free {
		defer func() { <-q.backlog }()
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

// beginChange notes that the attributes of a change's node run ahead of the server's from now on. Called with mu held.
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

// endChange notes that the change is done on the server, or has failed. Answers that have crossed with it are not kept (Node.gen).
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
