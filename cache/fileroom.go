package cache

import (
	"context"
	"errors"
	"syscall"
	"time"
)

const (
	// roomKnownFor is how long a bound that was learned from a refusal is believed: other clients may have had their share in it.
	roomKnownFor = time.Minute
	// roomTries is how many refusals of a creation there must be before it is tried with nothing else open.
	roomTries = 3
	// roomPatience is how long a program waits for files to be closed, at most, before it is told of a refusal.
	roomPatience = 2 * time.Second
	// roomOfAny is how many open files every server allows: with fewer a refusal has other reasons.
	roomOfAny = 4
)

// fileRoom counts the files that are open on the server though no program has them open. Some servers refuse to open more than so many files.
// With -o async creations are answered beforehand, so there may be far more files under way than a program would have open at a time; and
// where the server refuses one then, its program was told that the file is made. So a creation that is refused waits until others are closed,
// and is tried again; and how many there were bounds those that follow. Guarded by Cache.mu.
//
// A file is counted as creating from enterRoom until its creation is answered; as leaving (countRoom) from when it is both open on the server
// and closed by its program, until it is closed on the server (hasLeftRoom). What a program still has open is not counted: it would have been
// open without -o async as well.
//
// What a creation does depends on what was refused before (has):
//
//	nothing within roomKnownFor          it is sent
//	a creation, when n files were there  it waits until there are fewer than n (most is n, or more where more were seen open)
//	this one, roomTries times            it waits until there is none, and no other begins before (alone)
//	this one once more                   its program's error is told: the reason is another one, and no bound is known any more
type fileRoom struct {
	leaving  int           // files that are open on the server until their bytes are delivered, and that no program has open any more
	creating int           // creations on their way whose programs have their answer
	ahead    int           // files that programs have open, and that the server has still to make
	freed    int64         // when leaving last became less (Cache.now)
	most     int           // how many of both the server allows; 0 where that is not known
	learned  int64         // when most was learned (Cache.now)
	alone    int           // creations that are to be tried with nothing else open: no other may begin
	less     chan struct{} // closed by wake when one of the numbers above becomes less; nil while nobody waits for that

	queued map[*Handle]struct{} // the handles without a program whose closing has its turn among the changes, also of files not made yet
}

// wake has those who wait for room look again.
func (r *fileRoom) wake() {
	if r.less != nil {
		close(r.less)
		r.less = nil
	}
}

// has says whether one more creation may be sent; last says that it is to be tried with nothing else open.
func (r *fileRoom) has(now int64, last bool) bool {
	open := r.creating + r.leaving
	switch {
	case open == 0 && (last || r.alone == 0):
		return true
	case last || r.alone > 0:
		return false
	}
	return r.most == 0 || now >= r.learned+int64(roomKnownFor) || open < r.most
}

// refused notes that the server has refused to open one more file, for which it was asked at the time asked (Cache.now). False where it had
// no files open then that no program has open: the refusal has another reason.
func (r *fileRoom) refused(asked, now int64) bool {
	if r.leaving+r.creating == 0 && r.freed < asked {
		return false
	}
	if asked >= r.learned { // else it was on its way together with the one that was refused first
		r.most, r.learned = max(1, r.leaving), now
	}
	return true
}

// waitRoom waits until ok is true, which is called with mu held, and hastens the closing of files meanwhile.
func (c *Cache) waitRoom(ctx context.Context, ok func() bool) error {
	for {
		c.mu.Lock()
		if ok() {
			c.mu.Unlock()
			return nil
		}
		if c.room.less == nil {
			c.room.less = make(chan struct{})
		}
		c.hastenClosings()
		less := c.room.less
		c.mu.Unlock()
		if err := await(ctx, less); err != nil {
			return err
		}
	}
}

// createInRoom has try create a file of which the program was told that it is made: when there is room for it, and again where it is refused
// for want of room. why finds the reason of a failure; it may ask the server.
func (c *Cache) createInRoom(ctx context.Context, try func() error, why func(error) error) error {
	for tries := 1; ; tries++ {
		last := tries > roomTries
		if err := c.enterRoom(ctx, last); err != nil {
			return err
		}
		asked := c.now()
		err := try()
		full := c.mayBeFull(err) || failure(err) && (!c.conn.KeepsOrder() || unexplained(why(err)))
		c.mu.Lock()
		c.room.creating--
		if last {
			c.room.alone--
		}
		again := !last && full && c.room.refused(asked, c.now())
		if last && full {
			c.room.most = 0 // the refusals have another reason
		}
		c.room.wake()
		c.mu.Unlock()
		if !again {
			return err
		}
	}
}

// unexplained reports whether the reason that was found for a failure is none, or that the server may have no descriptor left.
func unexplained(reason error) bool {
	return errors.Is(reason, syscall.EIO) || errors.Is(reason, syscall.ENFILE)
}

// enterRoom waits until a creation may be sent, and counts it; last says that this is to be with nothing else open. Meanwhile it gives back its
// slot of the queue, which the closing of files may need.
func (c *Cache) enterRoom(ctx context.Context, last bool) error {
	enter := func() bool {
		if !c.room.has(c.now(), last) {
			return false
		}
		c.room.creating++
		return true
	}
	c.mu.Lock()
	if last {
		c.room.alone++
	}
	entered := enter()
	c.mu.Unlock()
	if entered {
		return nil
	}
	<-c.queue.slots
	err := c.waitRoom(ctx, enter)
	c.queue.slots <- struct{}{}
	if err != nil && last {
		c.mu.Lock()
		c.room.alone--
		c.room.wake()
		c.mu.Unlock()
	}
	return err
}

// ifNoRoom takes the outcome err of an opening that a program waits for, sent at asked (Cache.now). Where the server may have denied it for
// want of room it calls try, each time when files have been closed that no program has open any more, for roomPatience. why is that of
// createInRoom.
func (c *Cache) ifNoRoom(ctx context.Context, asked int64, err error, try func() error, why func(error) error) error {
	full := func(err error) bool {
		return c.mayBeFull(err) || failure(err) && c.hadLeaving(asked) && unexplained(why(err))
	}
	patience, stop := context.WithTimeout(ctx, roomPatience)
	defer stop()
	learned := false
	for full(err) {
		c.mu.Lock()
		open := c.room.leaving + c.room.creating
		again := c.room.hadLeaving(asked) && c.room.refused(asked, c.now())
		learned = learned || again
		c.mu.Unlock()
		if !again || c.waitRoom(patience, func() bool { return c.room.leaving+c.room.creating < max(open, 1) }) != nil {
			break
		}
		asked = c.now()
		err = try()
	}
	if learned && full(err) {
		c.mu.Lock()
		c.room.most = 0 // the denial has another reason
		c.room.wake()
		c.mu.Unlock()
	}
	return err
}

// hadLeaving says whether a refusal may come of files that no program has open: the server has enough of them open, or has closed one since
// the time given.
func (r *fileRoom) hadLeaving(since int64) bool {
	return r.leaving+r.creating >= roomOfAny || r.freed >= since
}

// hadLeaving is that of the room, taking mu.
func (c *Cache) hadLeaving(since int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.room.hadLeaving(since)
}

// leavesRoom notes that no program has the remote file of h open any more; queued says that its closing has its turn among the changes.
func (c *Cache) leavesRoom(h *Handle, queued bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if queued {
		c.room.queued[h] = struct{}{}
	}
	h.b.left = true
	c.endAhead(h.b)
	c.countRoom(h.b)
}

// hastenClosings closes files before it is their turn, as a creation waits for room: their turn may come behind a change of a directory above,
// and that behind the creation itself. (d/f is created, d is renamed to e, e/g is closed: the closing waits for the rename, that for the
// creation, and the creation for room.) The turn stays where it is, for those who wait for it. Called with mu held.
func (c *Cache) hastenClosings() {
	for h := range c.room.queued {
		if !h.b.counted || c.closed {
			continue
		}
		delete(c.room.queued, h)
		c.wg.Go(func() {
			_ = h.fd.Delivered(c.ctx) // its error is told when it has its turn
			h.b.close()
			c.hasLeftRoom(h)
		})
	}
}

// countRoom counts the file of b, once it is open on the server and no program has it open. Called with mu held.
func (c *Cache) countRoom(b *backend) {
	if b.left && !b.counted && b.f.Load() != nil {
		b.counted = true
		c.room.leaving++
		if c.room.most > 0 {
			c.room.most = max(c.room.most, c.room.leaving) // so many are open, whatever a refusal has told before
		}
		if c.room.less != nil {
			c.hastenClosings()
		}
	}
}

// surelyOpened says whether the server will surely open one file more for a program, with those that it has still to make, as far as can be
// told. It takes mu.
func (c *Cache) surelyOpened() bool {
	spare, known := c.conn.Spare()
	c.mu.Lock()
	defer c.mu.Unlock()
	return !known || c.room.ahead < spare+c.room.leaving+len(c.kept)
}

// beginAhead counts the file of b, which a program has open before the server has made it. Called with mu held; endAhead follows.
func (c *Cache) beginAhead(b *backend) {
	b.ahead = true
	c.room.ahead++
}

// endAhead notes that the file of b was made, or was not, or that no program has it open any more. Called with mu held.
func (c *Cache) endAhead(b *backend) {
	if b.ahead {
		b.ahead = false
		c.room.ahead--
	}
}

// hasLeftRoom notes that the server was told to close the remote file of h.
func (c *Cache) hasLeftRoom(h *Handle) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.room.queued, h)
	b := h.b
	b.left = false
	if b.counted {
		b.counted = false
		c.room.leaving--
		c.room.freed = c.now()
		c.room.wake()
	}
}
