package cache

// The kernel has a size of each file of its own: the one that it was told last, or what it has had written since, where that is more.
// An answer to an opening has no room for another. read(2) and stat(2) ask for the size where they are told to, but copy_file_range(2)
// and sendfile(2) don't: of a file that has grown elsewhere they would copy the beginning, and call it the whole.

// tell is shown for an answer to the kernel. Called with mu held.
func (c *Cache) tell(n *Node) Attr {
	a := c.shown(n)
	n.told = a.Size
	return a
}

// Outgrown says whether an opening has found more than the kernel believes to be there.
func (h *Handle) Outgrown() bool {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	return h.c.shown(h.n).Size > h.n.told
}

// Postpone notes that the kernel is not given the answer of Open yet: it has kept the pages that it was to drop.
func (h *Handle) Postpone() {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	h.n.file.pagesOld = true
}

// Resume notes that it is given now, as one that drops the pages.
func (h *Handle) Resume() {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	h.n.file.keepPages(false)
}
