package sftpconn

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"sshmount/sftpconn/session"
)

// retry runs ask on the channel of names. When the session is lost under it, it runs ask
// again on the next connection. again says that the server may have seen the request
// before: a refusal may then mean that it was done, and ask has to look. op and path are
// for the log.
func (c *Conn) retry(ctx context.Context, op, path string, ask func(ch *channel, again bool) error) error {
	if err := c.afterClosing(ctx, path); err != nil {
		return err
	}
	return c.retryNow(ctx, op, path, ask)
}

// retryNow is retry for requests that need not wait for a file to be closed (afterClosing).
func (c *Conn) retryNow(ctx context.Context, op, path string, ask func(ch *channel, again bool) error) error {
	again := false
	var lost losses
	for {
		ch, err := c.channel(ctx)
		if err != nil {
			return err
		}
		err = ask(ch, again)
		if !isLost(err) {
			return mayBeDone(err, again)
		}
		if isGuess(ctx) && wasSent(err) {
			return fmt.Errorf("%w: %v", ErrEndsSession, err)
		}
		if lost.tooMany(err, lossesMost) {
			return c.giveUpOn(op, path, err)
		}
		again = again || wasSent(err)
	}
}

// wasSent reports whether err is the loss of a session, and the server may have seen the request.
func wasSent(err error) bool {
	lost, ok := errors.AsType[*session.LostError](err)
	return ok && lost.Sent
}

// seen is for a look that follows a change which the server has answered. Where err is the
// loss of the session under the look, it returns one that says that the change was seen,
// although the look may not have been sent.
func seen(err error) error {
	lost, ok := errors.AsType[*session.LostError](err)
	if !ok {
		return err
	}
	change := *lost
	change.Sent = true
	return &change
}

// wait waits for the answer to a small request on ch. A request that is not sent when ctx ends is never sent.
func (ch *channel) wait(ctx context.Context, call *session.Call) error {
	e := ch.link.c.journal.begin()
	err := call.Wait(ctx)
	ch.link.c.journal.end(e)
	if ctx.Err() != nil {
		select {
		case <-call.Done():
		default:
			call.Abandon()
			return err
		}
	}
	if !isLost(err) {
		ch.link.sample(call)
	}
	return err
}

// journal lists the requests that callers wait for, for Status.
type journal struct {
	mu    sync.Mutex // guards what follows; a leaf
	begun list.List  // of time.Time, the oldest first
	count uint64
}

func (j *journal) start() { j.begun.Init() }

func (j *journal) begin() *list.Element {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.count++
	return j.begun.PushBack(time.Now())
}

func (j *journal) end(e *list.Element) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.begun.Remove(e)
}

// look returns the number of requests that callers wait for, the age of the oldest (0 where there is none), and how many there have
// been in all.
func (j *journal) look() (n int, oldest time.Duration, ever uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if e := j.begun.Front(); e != nil {
		oldest = time.Since(e.Value.(time.Time))
	}
	return j.begun.Len(), oldest, j.count
}
