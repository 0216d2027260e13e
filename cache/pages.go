package cache

// pages is what the kernel has still to be told of the pages that it holds of a file. It is told by a notice, which takes its time to
// get there, or once by the answer to an open(2). Guarded by Cache.mu.
//
//	            becomes true                             becomes false
//	old         a change was seen (forgetPages), or an   an open has the kernel drop its pages (keepPages), and no reader
//	            open's answer is held back (Postpone)    of an earlier version is left to fill them again
//	mustForget  a change was seen while a handle was     fusefs is about to have them dropped (TakeMustForgetPages)
//	            open (forgetPages)
//	opening     enterOpening begins                      enterOpening ends, with mu held all the time
type pages struct {
	old        bool // they may be of an older version, or readers of an older one go on filling them: no open keeps them
	mustForget bool // a change was seen while the file was open: they must be gone before the kernel is told of new attributes
	opening    bool // enterOpening is running: the answer to the opening has the kernel drop the pages, and no notice is needed
}

// enterOpening runs enter, which takes in what the answer to an opening tells of a file. Called with mu held.
func (p *pages) enterOpening(enter func()) {
	p.opening = true
	enter()
	p.opening = false
}

// forgetPages has the pages of a file dropped, by a notice and at the next open. An opening that finds the change gives no notice: that would
// reach the kernel during the first READ of the handle. The kernel then does not take a short answer for the end of the file, and shows
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

// TakeMustForgetPages says whether the kernel must forget the pages of a node before it is told of new attributes: else it would show zeros
// between the old end of a file that has grown and the new one. It says so once for each change that was seen while the file was open.
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

// keepPages is what an open answers to the kernel: whether it may keep its pages. good says whether the bytes held here are still good. Pages
// that come after an answer of false are of the new version. Called with mu held.
func (f *fileState) keepPages(good bool) bool {
	keep := good && !f.pages.old
	if !keep {
		// Readers of an earlier content go on putting that into the pages.
		f.pages.old = f.data.Divided()
	}
	return keep
}
