package cache

import (
	"sshmount/cache/filedata"
	"sshmount/sftpconn/session"
)

// fileState is what is known here of a regular file's bytes. Guarded by Cache.mu.
//
// It is made when the file is first opened, created or fetched ahead, and lives until the node is dropped. While nothing is written here
// the server has the last word: what it tells of size and mtime is either the version that is held here, or makes that out of date
// (noticeContent). A write turns this round (written): size and mtime are ours to tell while the bytes are on their way, and after that until
// the server has been asked which mtime they got. Its answer is the new version, and what is held here is of that version.
//
// Its flags answer four questions, each in one place:
//
//	Whose are size and mtime, the server's or ours?      written, which has a table of the states
//	Of which version are the clean bytes held here?      version; whether an open may keep them: good, stillGood
//	What must the kernel still hear about its pages?     pages; what an open answers: keepPages
//	Which size does the kernel believe the file to have? Node.told and Node.doubted (told.go)
type fileState struct {
	data    *filedata.File
	handles map[*Handle]struct{} // those that are open
	writers int                  // how many of them are open for writing
	writing map[*Handle]struct{} // these, and those that are closed and have still to deliver what was written through them
	opened  uint64               // Cache.opened when it was opened last

	version version // what version the clean bytes held here, and the kernel's pages, are of
	held    bool    // it was opened, or written here: its bytes are most likely still here or in the kernel's pages
	pages   pages
	written written

	next uint64 // the id of the file that was opened next the last time; 0 where none was soon after

	kept  *kept  // the remote file that is kept open after the last close; nil where none is
	ahead *ahead // what was asked for ahead of the next open; nil where nothing was
}

// content is the fileState of a node, made where there is none. Called with mu held.
func (c *Cache) content(n *Node) *fileState {
	if n.file == nil {
		n.file = &fileState{data: c.pool.NewFile(n, int64(n.attr.Size)), handles: map[*Handle]struct{}{}, writing: map[*Handle]struct{}{}}
	}
	return n.file
}

// dropContent gives the bytes of a node that nobody holds back. Called with mu held.
func (c *Cache) dropContent(n *Node) {
	c.dropAhead(n)
	c.dropKept(n)
	n.file.data.Release()
	n.file = nil
}

// noticeContent compares what the server tells of a file with the version that is held here. Called with mu held, before a is entered in
// the node.
func (c *Cache) noticeContent(n *Node, a session.Attr) {
	f := n.file
	if f == nil || a.Flags&session.HasSize == 0 {
		return
	}
	if _, dirty := f.data.Size(); dirty {
		return // what was written here is newer
	}
	f.written.cutLost = false
	switch h := f.ahead; {
	case h == nil:
	case !h.ok:
		now := a
		h.crossed = &now // its answer is compared with this when it comes
	case h.contradicts(a):
		c.dropAhead(n)
	}
	if f.written.untold {
		c.noticeWritten(n, a)
		return
	}
	if !f.version.is(a) {
		switch {
		case f.version.known:
			c.contentChanged(n)
		case f.held:
			c.contentInDoubt(n)
		}
		f.data.SetRemoteSize(int64(a.Size))
		f.mark(signatureOf(a), c.serverNow())
	}
}

// contentChanged drops what is held of a file that has changed on the server. Called with mu held.
func (c *Cache) contentChanged(n *Node) {
	n.file.data.Changed()
	c.forgetPages(n)
}

// contentInDoubt is contentChanged where the file may be the same as before: handles that are open go on reading the same content as those
// that will be opened. Called with mu held.
func (c *Cache) contentInDoubt(n *Node) {
	n.file.data.Drop()
	c.forgetPages(n)
}
