package cache

import (
	"context"

	"sshmount/sftpconn"
)

// dirTime tells whether a program wants to know the mtime that a directory gets when its names are changed (touched). Mostly nobody does. But
// a program that looks at the directory after a change (unzip after each file, git and make now and then) is likely to do so after the next
// one, too. Then the server is asked as soon as it has made the change, and its answer is there when the program looks. Guarded by Cache.mu.
type dirTime struct {
	wanted bool          // the server is to be asked after the next change
	asking chan struct{} // closed when the question that is on its way is answered; nil where none is
	told   bool          // a question was answered, and nobody has looked since
}

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
	t.wanted = t.wanted || t.told || n.mtimeGuessed
	t.told = false
}

// askMtime asks for the mtime of a directory that was just changed, where a program is likely to look at it. Called with mu held.
func (c *Cache) askMtime(dir *Node) {
	t := &dir.dir.time
	t.told = false
	if !t.wanted || t.asking != nil || !dir.mtimeGuessed || !c.mayGuess() {
		return
	}
	t.wanted, t.asking = false, make(chan struct{})
	c.pin(dir)
	c.wg.Go(func() {
		err := c.refresh(sftpconn.Guess(c.ctx), dir, nil)
		c.mu.Lock()
		defer c.mu.Unlock()
		close(t.asking)
		t.asking = nil
		t.told = err == nil && !dir.mtimeGuessed
		c.unpin(dir)
	})
}
