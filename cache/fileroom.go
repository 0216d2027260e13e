package cache

import (
	"context"
	"time"
)

const (
	// roomKnownFor is how long a bound is believed that was learned from a refusal: other mounts of this machine may have had their share in it.
	roomKnownFor = time.Minute
	// roomTries is how often a creation is refused before it is tried with nothing else open.
	roomTries = 3
	// roomPatience is how long a program waits at most for files to be closed before it is told of a refusal.
	roomPatience = 2 * time.Second
	// roomOfAny is how many files every server lets a client have open: with fewer a refusal has other reasons.
	roomOfAny = 4
)

// fileRoom counts the files that are open on the server though no program has them open: some servers refuse one more than so many.
// With -o async programs are answered beforehand, so there may be more of them than anybody would open at a time, and a creation that is
// refused then would be one of which a program was told that it was made. It waits for the others to be closed and is tried again; how many
// there were bounds those that follow. Guarded by Cache.mu.
type fileRoom struct {
	leaving  int           // files that no program has open any more, and that are open on the server until their bytes are delivered
	creating int           // creations on their way whose programs have their answer
	freed    int64         // when leaving last became less (Cache.now)
	most     int           // how many of both the server takes; 0 where it has refused none
	learned  int64         // when it was learned
	alone    int           // creations that are to be tried with nothing else open: no other may begin
	less     chan struct{} // closed when one of the numbers becomes less; nil while nobody waits for that

	queued map[*Handle]struct{} // of those leaving and of those to be made yet, the handles whose closing has a turn among the changes
}

func (r *fileRoom) wake() {
	if r.less != nil {
		close(r.less)
		r.less = nil
	}
}

// has says whether one more creation may be sent: the last try of one, or any other.
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

// refused takes in that the server has refused to open one more file when it was asked to at the time given; false where it had none
// open of which no program knows.
func (r *fileRoom) refused(asked, now int64) bool {
	if r.leaving+r.creating == 0 && r.freed < asked {
		return false
	}
	if asked >= r.learned { // else it is one of those that were on their way with the one that has told
		r.most, r.learned = max(1, r.leaving), now
	}
	return true
}

// waitRoom waits until ok, which is called with mu held, is true.
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

// createInRoom has try make a file of which the program was told that it is made: when there is room for it, and again where it was refused
// for want of it.
func (c *Cache) createInRoom(ctx context.Context, try func() error) error {
	for tries := 1; ; tries++ {
		last := tries > roomTries
		if err := c.enterRoom(ctx, last); err != nil {
			return err
		}
		asked := c.now()
		err := try()
		c.mu.Lock()
		c.room.creating--
		if last {
			c.room.alone--
		}
		full := c.mayBeFull(err) || failure(err) && !c.conn.KeepsOrder()
		again := !last && full && c.room.refused(asked, c.now())
		if last && full {
			c.room.most = 0 // it was for something else
		}
		c.room.wake()
		c.mu.Unlock()
		if !again {
			return err
		}
	}
}

// enterRoom waits until a creation may be sent. Meanwhile it leaves its slot to others: what closes the files may need that.
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

// ifNoRoom is given the outcome of an opening that a program waits for, and tries it again where it was denied, as files are closed of which
// programs believe that they are closed.
func (c *Cache) ifNoRoom(ctx context.Context, asked int64, err error, try func() error) error {
	patience, stop := context.WithTimeout(ctx, roomPatience)
	defer stop()
	learned := false
	for c.mayBeFull(err) {
		c.mu.Lock()
		open := c.room.leaving + c.room.creating
		again := (open >= roomOfAny || c.room.freed >= asked) && c.room.refused(asked, c.now())
		learned = learned || again
		c.mu.Unlock()
		if !again || c.waitRoom(patience, func() bool { return c.room.leaving+c.room.creating < max(open, 1) }) != nil {
			break
		}
		asked = c.now()
		err = try()
	}
	if learned && c.mayBeFull(err) {
		c.mu.Lock()
		c.room.most = 0 // it was for something else
		c.room.wake()
		c.mu.Unlock()
	}
	return err
}

// leavesRoom notes that no program has the file behind h open any more; queued says that its closing has a turn among the changes.
func (c *Cache) leavesRoom(h *Handle, queued bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if queued {
		c.room.queued[h] = struct{}{}
	}
	h.b.left = true
	c.countRoom(h.b)
}

// hastenClosings closes the files that somebody waits for before it is their turn: that may be behind a change of a directory above, and
// this behind the creation that waits. What waits for the turn of a closing finds it there all the same. Called with mu held.
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

// countRoom counts a file that is open on the server and that no program has open. Called with mu held.
func (c *Cache) countRoom(b *backend) {
	if b.left && !b.counted && b.f.Load() != nil {
		b.counted = true
		c.room.leaving++
		if c.room.most > 0 {
			c.room.most = max(c.room.most, c.room.leaving) // the refusal was heard of before the last that was granted
		}
		if c.room.less != nil {
			c.hastenClosings()
		}
	}
}

// hasLeftRoom notes that the server was told to close it.
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
