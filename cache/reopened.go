package cache

import "sshmount/sftpconn/session"

// What a remote file tells of itself behind the back of those who use it, as at a reopening. It is opened before the handle is that it
// belongs to, so it is given where that will be found.

// checkOf looks at what a reopening has found, for the handle that self leads to once there is one.
func (c *Cache) checkOf(self **Handle) func(session.Attr) error {
	return func(a session.Attr) error {
		if h := c.handleAt(self); h != nil {
			return h.check(a)
		}
		return nil
	}
}

// writtenOf notes that the server is sent what was written through the handle that self leads to.
func (c *Cache) writtenOf(self **Handle) func() {
	return func() {
		if h := c.handleAt(self); h != nil {
			h.changes()
		}
	}
}

// lostOf reports that the server has lost what it had acknowledged, as an error of writing through the handle that self leads to
// once there is one.
func (c *Cache) lostOf(self **Handle) func(error) {
	return func(err error) {
		h := c.handleAt(self)
		if h == nil {
			return
		}
		c.mu.Lock()
		name, discarded := c.nameOf(h.n), h.n.discarded()
		c.mu.Unlock()
		if !discarded {
			c.errs.add("write", name, err)
		}
		h.fd.Fail(err)
	}
}

// handleAt gives the handle that self leads to; nil where there is none yet.
func (c *Cache) handleAt(self **Handle) *Handle {
	c.mu.Lock()
	defer c.mu.Unlock()
	return *self
}

// sawItself takes what the server has told of a file by its open handle, which leads to no other: if somebody else has changed it, as a
// log that grows, it is as it is now that it must be found again after a reconnect. So must what other handles of the file have open that
// looked the same until then. asked is the stamp from before the question.
func (h *Handle) sawItself(asked stamp, a session.Attr) {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	n := h.n
	f := n.file
	if f == nil || asked.dirty || n.gen != asked.gen || n.changing() || f.written.untold || !tellsAll(a) {
		return
	}
	was, now := h.content, signatureOf(a)
	if was == now {
		return
	}
	for other := range f.handles {
		if other.content == was {
			other.former, other.content = was, now
			other.unsure = other.unsure || other != h
		}
	}
}
