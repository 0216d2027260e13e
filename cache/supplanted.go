package cache

import (
	"context"
	"errors"
	"syscall"
	"time"

	"sshmount/sftpconn/session"
)

// Others may give the name of a file that is open here to another file, as they do who rotate a log or save by a rename. What is open
// goes on being the old one. If the new one's size were shown for it, the kernel would show zeros up to there, and who follows a name
// (tail -F) would never see that it is another file's.

// partsAfter is how long a file must have been known before an opening may fail because its name has gone to another one. The look-up and
// the opening that follow upon the failure are done by then.
const partsAfter = 2 * time.Second

// tellsAll says whether an answer has a whole signature.
func tellsAll(a session.Attr) bool {
	return a.Flags&session.HasSize != 0 && a.Flags&session.HasTimes != 0
}

// inQuestion gives a handle by which to find out whether a file is still what its name leads to, of which the server has told a. nil where
// nothing speaks against it: it looks as it did, or was changed from here. Of what was written here and is not told yet the size alone is
// known: were another file's taken for it, who appends would write over what is there. Called with mu held.
func (n *Node) inQuestion(a session.Attr) *Handle {
	f := n.file
	if f == nil || len(n.also) > 0 || n.changing() || n.removals > 0 || !tellsAll(a) {
		return nil
	}
	size, dirty := f.data.Size()
	untold := f.written.unsettled()
	if dirty || untold && uint64(size) == a.Size || !untold && signatureOf(a) == signatureOf(n.attr) {
		return nil
	}
	return n.openThere()
}

// supplanted finds out whether the name p of an open file is another's by now, which the answer a to a question about it leaves open, and
// takes it from the file then. asked is the stamp from before the question; n may be nil, where there is no such file. The server is asked
// only where inQuestion has a handle. A file that others write to may have moved between two answers: what stood still before and after
// an answer about the name, which told something else, is another file.
func (c *Cache) supplanted(ctx context.Context, n *Node, p string, asked stamp, a session.Attr) bool {
	c.mu.Lock()
	var h *Handle
	if n != nil && n.gen == asked.gen && !asked.dirty && sameType(n, a) {
		h = n.inQuestion(a)
	}
	c.mu.Unlock()
	if h == nil {
		return false
	}
	_, before, err := c.statOpen(ctx, n, h)
	if err != nil || !tellsAll(before) || signatureOf(before) == signatureOf(a) {
		return false
	}
	if a, err = c.statPath(ctx, p); err != nil || !tellsAll(a) || signatureOf(before) == signatureOf(a) {
		return false
	}
	if _, after, err := c.statOpen(ctx, n, h); err != nil || signatureOf(before) != signatureOf(after) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n.gen != asked.gen || n.inQuestion(a) == nil || c.path(n) != p {
		return false
	}
	c.replaced(n)
	c.keepAttr(n, before)
	return true
}

// partsAtOpen is supplanted for an opening, which fails with ESTALE then: the kernel looks the name up and opens what it finds. It does so
// once. So that it finds something where the name is given away all the time, a file that has just come to be known, and was not written
// here, is opened as the one that has its name now, and shares its node with it.
//
// Who opened another file as one that has bytes on their way would read them in it, and append to it at their end. beside is that of
// askBeside: where the open file and the name tell the same they are one. Else the bytes may have come between the two answers. They are
// waited for then, and the server is asked again, but where the name tells what the file was when the server was last asked.
func (c *Cache) partsAtOpen(ctx context.Context, n *Node, p string, asked stamp, a session.Attr, beside func() (session.Attr, bool)) bool {
	open, told := beside()
	c.mu.Lock()
	fs := n.file
	ripe := fs != nil && (asked.dirty || fs.written.changed || c.now()-fs.since > int64(partsAfter))
	c.mu.Unlock()
	switch {
	case !ripe:
		return false
	case !asked.dirty || !tellsAll(a):
		return c.supplanted(ctx, n, p, asked, a)
	case told && (signatureOf(a) == signatureOf(open) || signatureOf(a) == asked.known || a.Size >= asked.there && c.isMoving(ctx, n, a, open)):
		return false
	case !told && a.Size >= asked.there:
		return false
	}
	ctx, stop := c.conn.Bounded(ctx)
	defer stop()
	return c.supplantedBehind(ctx, n, fs, p)
}

// askBeside asks, in the flight of an opening, about the file that a node has open and that has bytes on their way; ok is false where there
// is none, or no answer.
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

// isMoving says whether the file that a node has open, of which the server has told open, is just being written, and may have been on its
// way what the answer a tells.
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

// supplantedBehind is supplanted with a question of its own, which is put behind the bytes that are on their way.
func (c *Cache) supplantedBehind(ctx context.Context, n *Node, fs *fileState, p string) bool {
	_ = fs.data.Flushed(ctx) // who waits for the bytes is told
	c.mu.Lock()
	asked := c.stamp(n)
	c.mu.Unlock()
	a, err := c.statPath(ctx, p)
	return err == nil && c.supplanted(ctx, n, p, asked, a)
}

// stillNamed asks, before what the name p of an open file leads to is cut short, whether that is the file: else what has it open would be
// taken to be as short. Where the name is another's by now it gives ESTALE, and the kernel looks it up.
func (c *Cache) stillNamed(ctx context.Context, n *Node, p string) error {
	c.mu.Lock()
	fs, open := n.file, n.openThere() != nil
	c.mu.Unlock()
	if !open || !c.supplantedBehind(ctx, n, fs, p) {
		return nil // it is the file, or what cuts it is told
	}
	return fail("truncate", p, syscall.ESTALE, errors.New("something else has the name now"))
}
