package cache

// The kernel has a size of each file of its own: the one that it was told last, or the end of what it has had written since, where that
// is more. An answer to an opening has no room for another. read(2) and stat(2) ask for the size where they are told to, but
// copy_file_range(2) and sendfile(2) don't: of a file that has grown elsewhere they would copy the beginning, and call it the whole. Of
// one that has shrunk the kernel reads more than is there, in several pieces, and where the answers come in another order than it has
// asked for them it takes the end of a later piece for the file's.

// tell is shown for an answer to the kernel. Called with mu held.
func (c *Cache) tell(n *Node) Attr {
	a := c.shown(n)
	n.told = a.Size
	return a
}

// Mistold says whether the kernel believes the file to have another size than an opening has found, or may do so.
func (h *Handle) Mistold() bool {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	return h.n.doubted || h.c.shown(h.n).Size != h.n.told
}

// Postpone notes that the kernel is not given the answer of Open yet, and is about to ask for the attributes: without keep it has still
// the pages that it was to drop.
func (h *Handle) Postpone(keep bool) {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	h.n.doubted = false
	if !keep {
		h.n.file.pages.old = true
	}
}

// Resume notes that it is given now, without keep as one that drops the pages.
func (h *Handle) Resume(keep bool) {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	if !keep {
		h.n.file.keepPages(false)
	}
}
