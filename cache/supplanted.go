package cache

import (
	"context"
	"errors"
	"syscall"

	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
)

// Others may give the name of a file that is open here to another file, as programs do that rotate a log or save by a rename. What is open
// goes on being the old file. If the new file's size were shown for it, the kernel would show zeros up to there; and a program that follows
// a name (tail -F) would never see that it leads to another file.

// tellsAll says whether an answer has both parts of a signature.
func tellsAll(a session.Attr) bool {
	return a.Flags&session.HasSize != 0 && a.Flags&session.HasTimes != 0
}

// inQuestion gives an open handle of a file of whose name the server has told a, where a does not look like the file: by the handle can be
// found out whether the name still leads to it. It is nil where a looks as the file did, or where it may look different by a change made
// here. Of a file that was written here, and of which the server has not told since, the size alone is known and compared: a program that
// appends would write over what is there if another file's size were taken for its own. Called with mu held.
func (n *Node) inQuestion(a session.Attr) *Handle {
	f := n.file
	if f == nil || len(n.also) > 0 || n.changing() || n.removals > 0 || !tellsAll(a) {
		return nil
	}
	size, dirty := f.data.Size()
	untold := f.written.mtimeOpen()
	if dirty || untold && uint64(size) == a.Size || !untold && signatureOf(a) == signatureOf(n.attr) {
		return nil
	}
	return n.openThere()
}

// unasked is inQuestion where no handle was asked when the answer a was compared with what is open: one was made since the stamp asked was
// taken, or the name is known to be another's by now, so that nothing was compared. Called with mu held.
func (n *Node) unasked(asked stamp, a session.Attr) *Handle {
	if n.file == nil || n.file.opened <= asked.opened && (n.parent != nil || n.removed) {
		return nil
	}
	return n.inQuestion(a)
}

// inDoubt is inQuestion for an opening, which is answered with a, also where bytes are written here all the time: then what is known of the file
// says nothing about a, and the open file has to be asked, lest what is appended to the one is sent to the other. asked is the stamp from before
// the question. Called with mu held.
func (c *Cache) inDoubt(n *Node, asked stamp, a session.Attr) *Handle {
	f := n.file
	if f == nil || len(n.also) > 0 || n.changing() || n.removals > 0 || !tellsAll(a) || !sameType(n, a) {
		return nil
	}
	_, dirty := f.data.Size()
	switch {
	case !dirty && !asked.dirty && !n.changedSince(asked):
		return n.inQuestion(a)
	case signatureOf(a) == asked.known:
		return nil // the answer is from before the bytes
	case c.tellsLate(n):
		return nil // by the name the server tells what was before them, and by the handle what they are
	}
	return n.openThere()
}

// supplanted finds out whether the name p of an open file leads to another file by now, and if so takes the name from the file. a is the
// answer to a question about p, and asked the stamp from before that. n is nil where no file is known at p. The server is asked further
// questions only where a leaves it open (inQuestion).
func (c *Cache) supplanted(ctx context.Context, n *Node, p string, asked stamp, a session.Attr) bool {
	c.mu.Lock()
	var h *Handle
	if n != nil && !n.changedSince(asked) && !asked.dirty && sameType(n, a) {
		h = n.inQuestion(a)
	}
	c.mu.Unlock()
	return h != nil && c.isElsewhere(ctx, n, p, h, a)
}

// isElsewhere is what supplanted does where a leaves it open: it asks by the handle h, by the name, and by the handle once more. Two answers may
// differ as somebody writes to the file between them. But where both answers by the handle are the same, and the one by the name between
// them is not, the name is another file's. Where the file grows all the time they never are the same: then its name is another's if what that
// leads to is no state in between, time after time.
func (c *Cache) isElsewhere(ctx context.Context, n *Node, p string, h *Handle, a session.Attr) bool {
	_, before, err := c.statAnyOpen(ctx, n, h)
	if err != nil || !tellsAll(before) || signatureOf(before) == signatureOf(a) {
		return false
	}
	const most = 3
	var asked stamp
	rests := false
	for i := 0; i < most && !rests; i++ {
		if a, err = c.statPath(ctx, p); err != nil || !tellsAll(a) || signatureOf(before) == signatureOf(a) {
			return false
		}
		var after session.Attr
		asked, after, err = c.statAnyOpen(ctx, n, h)
		if err != nil || !tellsAll(after) {
			return false
		}
		rests = signatureOf(before) == signatureOf(after)
		if !rests && before.Size <= a.Size && a.Size <= after.Size && before.Mtime <= a.Mtime && a.Mtime <= after.Mtime {
			return false
		}
		before = after
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n.parent == nil && !n.removed {
		return true // who has asked at the same time has found the same
	}
	if n.file == nil || len(n.also) > 0 || n.changing() || n.removals > 0 || c.path(n) != p {
		return false
	}
	if n.file.opened > asked.opened && !n.file.isOpen(h) {
		return false // what is open now need not be what was asked
	}
	_, dirty := n.file.data.Size()
	ours := dirty || asked.dirty || n.changedSince(asked)
	c.replaced(n)
	if !ours {
		c.keepAttr(n, before)
	}
	return true
}

// isOpen says whether a handle is open. Called with mu held.
func (f *fileState) isOpen(h *Handle) bool {
	_, open := f.handles[h]
	return open
}

// statAnyOpen asks for the attributes of a node by its open handle h, or by others where that is closed meanwhile; asked is
// the stamp from before.
func (c *Cache) statAnyOpen(ctx context.Context, n *Node, h *Handle) (asked stamp, a session.Attr, err error) {
	const most = 5
	for range most {
		if asked, a, err = c.statOpen(ctx, n, h); err == nil {
			break
		}
		c.mu.Lock()
		other := n.openThere()
		closed := other != nil && !n.file.isOpen(h)
		c.mu.Unlock()
		if !closed {
			break
		}
		h = other
	}
	return asked, a, err
}

// partsAtOpen is supplanted for an opening of n by its name p, to which the server has answered a; asked is the stamp from before. Where it
// is true the opening must fail with ESTALE, and the kernel looks the name up and opens what it finds.
//
// Where n has bytes on their way the question is whether they belong to what was opened: a program would read them in another file, and
// append at their end. beside has the answer of askBeside, by the open file. Where the two answers leave it open, the bytes are waited for,
// and the server is asked again (supplantedBehind).
func (c *Cache) partsAtOpen(ctx context.Context, n *Node, p string, asked stamp, a session.Attr, beside func() (session.Attr, bool)) bool {
	open, told := beside()
	c.mu.Lock()
	fs := n.file
	c.mu.Unlock()
	if fs == nil {
		return false
	}
	if !asked.dirty || !tellsAll(a) {
		return c.supplantedOpening(ctx, n, p, asked, a)
	}
	hasAll := a.Size >= asked.there // what has the name is no shorter than what the server had of the open file
	switch {
	case !told && hasAll:
		return false // nothing speaks against it
	case told && signatureOf(a) == signatureOf(open):
		return false // the name and the open file tell the same: they are one
	case told && signatureOf(a) == asked.known:
		return false // the name's answer is from before the bytes
	case told && hasAll && c.isMoving(ctx, n, a, open):
		return false // the file is just growing, and the name's answer is of a moment in between
	}
	ctx, stop := c.conn.Bounded(ctx)
	defer stop()
	return c.supplantedBehind(ctx, n, fs, p)
}

// askApart compares the file f, which was just opened by the path p with the answer a, with what others have opened of the same node since the
// stamp asked was taken: one of the two openings may have been before the name was given to another file, and the other one after that. Then
// the error is ESTALE. Else it returns the last answer, and the stamp from before that. Called with mu held, which it gives up while it asks.
func (c *Cache) askApart(ctx context.Context, n *Node, p string, f *sftpconn.File, asked stamp, a session.Attr) (stamp, session.Attr, error) {
	const most = 3
	for range most {
		h := n.unasked(asked, a)
		if h == nil && n.file != nil && (n.file.opened > asked.opened || n.parent == nil && !n.removed) {
			h = c.inDoubt(n, asked, a)
		}
		if h == nil {
			break
		}
		c.mu.Unlock()
		_, open, gone := c.statAnyOpen(ctx, n, h)
		c.mu.Lock()
		asked = c.stamp(n)
		c.mu.Unlock()
		was := a
		var err error
		a, err = f.Stat(ctx)
		if err == nil && gone == nil && tellsAll(open) && signatureOf(was) == signatureOf(a) && signatureOf(a) != signatureOf(open) {
			c.isElsewhere(ctx, n, p, h, a)
			err = fail("open", p, syscall.ESTALE, errors.New("something else has the name now"))
		}
		c.mu.Lock()
		if err != nil {
			return asked, a, err
		}
	}
	return asked, a, nil
}

// askBeside asks by a handle of a node that has bytes on their way, in the flight of an opening of the same name. ok is false where the node
// has no such handle or bytes, or there was no answer. It asks in a goroutine, which ends with the answer also where wait is not called.
func (c *Cache) askBeside(ctx context.Context, n *Node, asked stamp) (wait func() (a session.Attr, ok bool)) {
	c.mu.Lock()
	h := n.openThere()
	c.mu.Unlock()
	if !asked.dirty || h == nil {
		return func() (a session.Attr, ok bool) { return a, false }
	}
	answer := make(chan session.Attr, 1)
	go func() {
		defer close(answer)
		if _, a, err := c.statOpen(ctx, n, h); err == nil && tellsAll(a) {
			answer <- a
		}
	}()
	return func() (a session.Attr, ok bool) {
		a, ok = <-answer
		return a, ok
	}
}

// isMoving says whether the file that a node has open is just growing, and may have been in between what the answer a tells. open is what
// the server has told by the handle before.
func (c *Cache) isMoving(ctx context.Context, n *Node, a, open session.Attr) bool {
	c.mu.Lock()
	h := n.openThere()
	c.mu.Unlock()
	if h == nil {
		return false
	}
	_, now, err := c.statOpen(ctx, n, h)
	return err == nil && signatureOf(now) != signatureOf(open) && a.Size <= now.Size && a.Mtime <= now.Mtime
}

// supplantedBehind is supplanted with a question about p of its own, which goes out when the bytes on their way have arrived.
func (c *Cache) supplantedBehind(ctx context.Context, n *Node, fs *fileState, p string) bool {
	_ = fs.data.Flushed(ctx) // its error is told to those who wait for the bytes
	c.mu.Lock()
	asked, there := c.stamp(n), uint64(fs.data.Acknowledged())
	c.mu.Unlock()
	a, err := c.statPath(ctx, p)
	return err == nil && (c.supplantedOpening(ctx, n, p, asked, a) || c.supplantedClosed(n, p, asked, there, a))
}

// supplantedClosed is supplanted for a file that was closed meanwhile, so that nothing can be asked by a handle: what has the name, of which the
// server tells a, is another file where it is shorter than what the server has acknowledged of this one (there).
func (c *Cache) supplantedClosed(n *Node, p string, asked stamp, there uint64, a session.Attr) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n.file == nil || len(n.file.handles) > 0 || n.changedSince(asked) || n.changing() || n.removals > 0 || len(n.also) > 0 ||
		c.path(n) != p || !tellsAll(a) || a.Size >= there || !c.conn.KeepsOrder() {
		return false
	}
	c.replaced(n)
	return true
}

// supplantedOpening is supplanted for an opening, also where bytes are written here all the time (inDoubt).
func (c *Cache) supplantedOpening(ctx context.Context, n *Node, p string, asked stamp, a session.Attr) bool {
	c.mu.Lock()
	h := c.inDoubt(n, asked, a)
	c.mu.Unlock()
	return h != nil && c.isElsewhere(ctx, n, p, h, a)
}

// stillNamed makes sure, before what is at p is truncated, that it is the file that n has open: else the open file would be taken to be as
// short. Where the name is another file's by now it returns ESTALE, and the kernel looks the name up.
func (c *Cache) stillNamed(ctx context.Context, n *Node, p string) error {
	c.mu.Lock()
	fs, open := n.file, n.openThere() != nil
	c.mu.Unlock()
	if !open || !c.supplantedBehind(ctx, n, fs, p) {
		return nil // it is the file, or the truncation itself will tell
	}
	return fail("truncate", p, syscall.ESTALE, errors.New("something else has the name now"))
}
