package sftpconn

import (
	"context"
	"errors"

	"sshmount/sftpconn/session"
)

// ticket is the right to send one READ or WRITE on a handle.
type ticket struct {
	h     *handle
	g     grant
	id    string // of h
	early bool   // id is only foreseen: what is read with it must be confirmed
	order uint64 // want.order, in case the request has to be sent again
}

// ticket waits for room of the file, for an open handle and for a grant of its link, in this order. It may grant less than was asked
// for, unless ask is whole.
func (f *File) ticket(ctx context.Context, dir int, ask want) (ticket, error) {
	if err := f.takeRoom(ctx, dir, ask); err != nil {
		return ticket{}, err
	}
	t, err := f.ticketWithRoom(ctx, dir, ask)
	if spare := int64(ask.n) - t.g.n; spare > 0 { // all of it where there is no ticket
		f.giveRoom(dir, spare)
	}
	return t, err
}

// ticketWithRoom is ticket for a caller that has room of the file already.
func (f *File) ticketWithRoom(ctx context.Context, dir int, ask want) (ticket, error) {
	for {
		h, err := f.use(ctx, dir, forData)
		if err != nil {
			return ticket{}, err
		}
		g, err := h.ch.pacer(dir).acquire(ctx, ask)
		if err != nil {
			f.drop(h)
			if errors.Is(err, errLinkOver) {
				continue
			}
			return ticket{}, err
		}
		f.mu.Lock()
		if err := f.over(); err != nil {
			f.mu.Unlock()
			h.ch.pacer(dir).release(g, 0, 0)
			f.drop(h)
			return ticket{}, err
		}
		// Another channel of the link may have become the better one meanwhile.
		if best := f.best(dir, forData, h.ch.link); best != nil && best != h {
			h.refs--
			f.giveBack(h)
			best.refs++
			h = best
		}
		h.ch.load[dir].Add(g.n)
		t := ticket{h: h, g: g, id: h.id, early: h.early != nil && !h.open(), order: ask.order}
		f.mu.Unlock()
		return t, nil
	}
}

// finish waits for the call of a ticket, and gives the ticket back. The call's buffer is
// free when it returns.
func (f *File) finish(ctx context.Context, dir int, t ticket, call *session.Call) error {
	ch := t.h.ch
	end := func(done int) {
		ch.load[dir].Add(-t.g.n)
		ch.pacer(dir).release(t.g, done, call.RTT())
		f.giveRoom(dir, t.g.n)
		if dir == writing {
			f.endedWrite(t.h)
		}
		f.drop(t.h)
	}
	free, err := ch.transfer(ctx, call, end)
	if !free {
		<-call.Done()
	}
	return err
}

// transfer waits for a READ or WRITE. It runs end, with the number of bytes moved, when the
// request no longer takes room on the line; where ctx ends first, that happens later, in the
// background. free says whether the buffer of the call is the caller's again.
func (ch *channel) transfer(ctx context.Context, call *session.Call, end func(done int)) (free bool, err error) {
	c := ch.link.c
	e := c.journal.begin()
	err = call.Wait(ctx)
	c.journal.end(e)
	select {
	case <-call.Done():
		err = call.Wait(ctx) // the answer, where both came at once
	default:
		return ch.giveUp(call, end), err
	}
	if err != nil {
		end(0)
		return true, err
	}
	ch.link.sample(call)
	end(call.N())
	return true, nil
}

// giveUp is transfer for a READ or WRITE that nobody waits for any more.
func (ch *channel) giveUp(call *session.Call, end func(done int)) (free bool) {
	free = call.Abandon()
	ch.link.c.spawn(func() {
		<-call.Done()
		end(0)
	})
	return free
}
