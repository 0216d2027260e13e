package cache

// pages is what the kernel has to be told of the pages that it holds of a file. A notice is only on its way when it is given, and an
// answer to open(2) says once whether the pages are kept, so what is still to be said is noted here. Guarded by Cache.mu.
type pages struct {
	old        bool // they may be of an older version, or readers of an older one go on putting such bytes there: no open keeps them
	mustForget bool // a change was seen while the file was open: they must be gone before new attributes are told
	opening    bool // an opening is being entered: its answer has the kernel drop the pages, and no notice does
}

// enterOpening runs enter, which takes in what an opening has found. Called with mu held.
func (p *pages) enterOpening(enter func()) {
	p.opening = true
	enter()
	p.opening = false
}

// forgetPages has the kernel, and the next open, drop the pages of a file. An opening that has found the change gives no notice: it would
// come during the first READ of the handle, and the kernel, which then does not take a short answer for the end of the file, would show
// zeros up to the size that the file had before. Called with mu held.
func (c *Cache) forgetPages(n *Node) {
	f := n.file
	f.pages.old, f.pages.mustForget = true, len(f.handles) > 0
	f.held, f.written.hides = false, false
	c.dropKept(n)
	if !f.pages.opening {
		n.doubted = true
		c.notifyContent(n.id)
	}
}

// TakeMustForgetPages says, once for each change that was seen, whether the kernel must forget the pages of a node that is open before it
// is told of new attributes: it would show zeros between the old end of a file that has grown and the new one.
func (c *Cache) TakeMustForgetPages(n *Node) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := n.file
	if f == nil || !f.pages.mustForget {
		return false
	}
	f.pages.mustForget = false
	return true
}

// keepPages turns what an open has found out of the bytes held here into its answer to the kernel: pages that may be older are
// not kept, and those that come after the answer are new. Called with mu held.
func (f *fileState) keepPages(good bool) bool {
	keep := good && !f.pages.old
	if !keep {
		// Readers of an earlier content go on putting that into the pages.
		f.pages.old = f.data.Divided()
	}
	return keep
}
