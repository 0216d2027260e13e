package cache

import (
	"context"
	"time"

	"sshmount/sftpconn/session"
)

// The mtime that a file gets by being written is the server's to tell. It is asked for before anybody wants it, so that the next stat(2)
// need not wait, and the next open finds the kernel's pages good: behind the last bytes, in their flight (learnBehind), or else when the
// file is closed (learnMtime, learnClosed).

// learnBehind runs wait, which waits for the bytes of the handle, and has the server asked in the flight of the last of them for the
// attributes that they give the file. A handle does so only once, as it may be flushed many times: by each process that has inherited it.
// Where a program has wanted to know before it does so each time (noteWanted). The error is that of wait.
func (h *Handle) learnBehind(ctx context.Context, wait func(context.Context) error) error {
	c, n := h.c, h.n
	c.mu.Lock()
	asked := c.stamp(n)
	ask := asked.dirty && (!h.askedBehind || n.file.written.wanted) && n.sent == 0 && h.onlyWriter()
	h.askedBehind = h.askedBehind || ask
	var written time.Time // by the program, when the server gives the bytes a time: zero where it does not
	if n.file.written.times == nil {
		written = n.file.data.LastWrite()
	}
	before := n.attr.Mtime
	c.mu.Unlock()
	var a session.Attr
	var known bool
	var err error
	if ask {
		a, known, err = h.fd.Asking(ctx, wait)
	} else {
		err = wait(ctx)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	known = known && !c.crossed(n, asked, a)
	c.takeAcknowledged(n)
	if known {
		c.keepAttr(n, n.withOurs(a))
		if a.Mtime != before { // some servers tell the time of a write only when the file is closed
			c.learnClock(a, written)
		}
	}
	return err
}

// noteWanted notes that a program asks for attributes of which a written file's mtime is not known, and has to wait for them. If it does so
// after each of its fsyncs, they are asked for in the flights of those from now on. Called with mu held.
func (n *Node) noteWanted() {
	if n.mtimeUnknown() {
		n.file.written.wanted = true
	}
}

// onlyWriter says whether nobody else has the file open for writing. Called with Cache.mu held.
func (h *Handle) onlyWriter() bool {
	f := h.n.file
	if _, open := f.handles[h]; open {
		return f.writers == 1 && h.writable
	}
	return f.writers == 0
}

// learnMtime asks for the mtime once the file is closed, where learnBehind could not learn it. Nobody waits for it. A program that saves a
// file often renames it at once: then the question has crossed with the rename, and is put again after that.
func (c *Cache) learnMtime(ctx context.Context, h *Handle) {
	const tries = 3
	for try := range tries {
		// With -o async this runs in the turn of the closing, and later changes of the name wait for it: to wait for them would never end.
		if try > 0 && !c.o.Async && c.queue.wait(ctx, c.pathOf(h.n)) != nil {
			return
		}
		f, err := h.b.file(ctx)
		if err != nil {
			return
		}
		c.mu.Lock()
		unknown, asked := h.n.mtimeUnknown() && h.n.file.writers == 0 && h.n.sentTimes == 0, c.stamp(h.n)
		c.mu.Unlock()
		if !unknown {
			return
		}
		a, err := f.Stat(ctx)
		if err != nil {
			return
		}
		if c.learnt(h.n, asked, a) {
			return
		}
	}
}

// learnClosed is learnMtime on a server that may know what was written only when it has closed the file: so it asks by the name.
func (c *Cache) learnClosed(ctx context.Context, n *Node) {
	c.mu.Lock()
	unknown, asked, p := n.mtimeUnknown() && n.file.writers == 0 && n.sent == 0, c.stamp(n), c.serverPath(n)
	c.mu.Unlock()
	if !unknown || p == "" {
		return
	}
	if a, err := c.statPath(ctx, p); err == nil {
		c.learnt(n, asked, a)
	}
}

// learnt enters the answer to a question about a file's mtime; false where a change made here has crossed with it.
func (c *Cache) learnt(n *Node, asked stamp, a session.Attr) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if asked.dirty || n.file == nil || n.file.writers > 0 || c.crossed(n, asked, a) {
		return false
	}
	c.keepAttr(n, n.withOurs(a))
	return true
}

// crossed says whether size and mtime in the answer a may be wrong: a change made here has crossed with the question, before which the stamp
// asked was taken, or a is about something of another type. Called with mu held.
func (c *Cache) crossed(n *Node, asked stamp, a session.Attr) bool {
	return n.gen != asked.gen || n.sentTimes > 0 || !sameType(n, a)
}

// withOurs puts the mode and the owner that are known here into an answer that may be older than a change of them which is on its way.
// Called with mu held.
func (n *Node) withOurs(a session.Attr) session.Attr {
	if n.sent > 0 {
		a.Mode, a.UID, a.GID = n.attr.Mode, n.attr.UID, n.attr.GID
	}
	return a
}
