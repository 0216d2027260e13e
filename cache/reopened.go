package cache

import "sshmount/sftpconn/session"

// Here are the hooks by which a remote file (sftpconn.File) tells its handle of events, as of a reopening. It is opened before its handle is
// made, and may go from one handle to the next (kept.go). So a hook is given self, which leads to the present handle, or to nil.

// checkOf makes the hook Check: whether what a reopening has found is the file that the handle has open.
func (c *Cache) checkOf(self **Handle) func(session.Attr) error {
	return func(a session.Attr) error {
		if h := c.handleAt(self); h != nil {
			return h.check(a)
		}
		return nil
	}
}

// writtenOf makes the hook Written: the server is sent something that was written through the handle.
func (c *Cache) writtenOf(self **Handle) func() {
	return func() {
		if h := c.handleAt(self); h != nil {
			h.changes()
		}
	}
}

// lostOf makes the hook Lost: the server has lost bytes that it had acknowledged, which is an error of writing through the handle.
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

// handleAt is the handle that self leads to; nil where there is none yet.
func (c *Cache) handleAt(self **Handle) *Handle {
	c.mu.Lock()
	defer c.mu.Unlock()
	return *self
}

// sawItself takes the answer a to a question by the handle, which can't be about another file. Where somebody else has changed the file, as
// a log that grows, the handle must find it as it is now after a reconnect. So must other handles that have seen the same as this one until
// now. asked is the stamp from before the question.
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
