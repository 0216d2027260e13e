package cache

// The kernel has its own idea of a file's size: what it was told last, or the end of what was written since, where that is more. The answer
// to an opening has no room for another size. read(2) and stat(2) ask for it after a notice (fusefs's forgetSize), but copy_file_range(2)
// and sendfile(2) don't: of a file that has grown elsewhere they would copy the beginning for the whole. Of a file that has shrunk the
// kernel reads more than is there, in several pieces, and where the answers come out of order it takes the end of a later piece for
// the end of the file.

// tell is shown, and notes that the kernel is told. Called with mu held.
func (c *Cache) tell(n *Node) Attr {
	a := c.shown(n)
	n.told = a.Size
	return a
}

// Mistold says whether the kernel believes, or may believe, the file to have another size than its opening has found.
func (h *Handle) Mistold() bool {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	return h.n.doubted || h.c.shown(h.n).Size != h.n.told
}

// Postpone notes that the kernel is not given the answer of Open yet: it is to ask for the attributes first. keep is Open's; without it the
// kernel still has the pages that it was to drop.
func (h *Handle) Postpone(keep bool) {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	h.n.doubted = false
	if !keep {
		h.n.file.pages.old = true
	}
}

// Resume notes that the kernel is given the answer now, which without keep has it drop the pages.
func (h *Handle) Resume(keep bool) {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	if !keep {
		h.n.file.keepPages(false)
	}
}
