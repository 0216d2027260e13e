package cache

import (
	"context"

	"sshmount/sftpconn"
)

// dirTime tells whether a program wants to know the mtime that a directory gets when its names are changed (touched). Mostly nobody does. But
// a program that looks at the directory after a change (unzip after each file, git and make now and then) is likely to do so after the next
// one, too, or after the next few: git makes a lock and takes it away between two looks, an editor its swap file. Then the server is asked as
// soon as it has made the change, and its answer is there when the program looks. Guarded by Cache.mu.
type dirTime struct {
	wanted int           // after so many changes the server is still to be asked, if nobody looks meanwhile
	asking chan struct{} // closed when the question that is on its way is answered; nil where none is
	told   bool          // a question was answered, and nobody has looked since
}

// dirAsks is after how many changes the server is asked for a directory's mtime when a program has looked at it.
const dirAsks = 6

// lookedAt notes that a program looks at a node's attributes, and waits for a question about them that is on its way. Called with mu held,
// but not while it waits.
func (c *Cache) lookedAt(ctx context.Context, n *Node) {
	if n.dir == nil {
		return
	}
	t := &n.dir.time
	if asking := t.asking; asking != nil && n.mtimeGuessed {
		c.mu.Unlock()
		ctx, stop := c.bounded(ctx)
		_ = await(ctx, asking) // the caller looks at the node again
		stop()
		c.mu.Lock()
	}
	if t.told || n.mtimeGuessed {
		t.wanted = dirAsks
	}
	t.told = false
}

// askMtime asks for the mtime of a directory that was just changed, where a program is likely to look at it. Called with mu held.
func (c *Cache) askMtime(dir *Node) {
	t := &dir.dir.time
	t.told = false
	if t.wanted == 0 || t.asking != nil || !dir.mtimeGuessed || !c.mayGuess() {
		return
	}
	t.wanted--
	t.asking = make(chan struct{})
	c.pin(dir)
	c.wg.Go(func() {
		err := c.refresh(sftpconn.Guess(c.ctx), dir, nil)
		c.mu.Lock()
		defer c.mu.Unlock()
		close(t.asking)
		t.asking = nil
		if t.told = err == nil && !dir.mtimeGuessed; !t.told && err == nil {
			c.askMtime(dir) // a further change has crossed with the answer
		}
		c.unpin(dir)
	})
}
