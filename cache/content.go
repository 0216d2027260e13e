package cache

import (
	"sshmount/cache/filedata"
	"sshmount/sftpconn/session"
)

// fileState is what is known here of a regular file's bytes. Guarded by Cache.mu.
//
// It is made when the file is first opened, created or fetched ahead, and lives until the node is dropped. Then, and whenever nothing was
// written here since, the server has the last word: what it tells of size and mtime either is the version that is held here, or makes
// that out of date (noticeContent). A write makes the file ours to tell about (written), first while its bytes are on their way, and
// then until the server has been asked what mtime they got; its answer is the new version, and the bytes here are of it.
type fileState struct {
	data    *filedata.File
	handles map[*Handle]struct{} // those that are open
	writers int                  // of them, those open for writing
	writing map[*Handle]struct{} // these, and those that are closed and have still to deliver what was written through them
	since   int64                // when the file was first opened or fetched, of the time that it is known (Cache.now)

	version version // what the clean bytes held here, and the pages that the kernel holds, are of
	held    bool    // that version was opened, or written here: the bytes are most likely still here or in the kernel's pages
	pages   pages
	written written

	next uint64 // the id of the file that was opened after this one the last time; 0 where none was soon

	kept  *kept  // the remote file that the last close left open for a while
	ahead *ahead // content fetched or looked at before anybody asked
}

// content gives a node its fileState. Called with mu held.
func (c *Cache) content(n *Node) *fileState {
	if n.file == nil {
		n.file = &fileState{data: c.pool.NewFile(n, int64(n.attr.Size)), handles: map[*Handle]struct{}{}, writing: map[*Handle]struct{}{}, since: c.now()}
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

// noticeContent compares what the server says of a file with the version that the bytes here are of. Called with mu held.
func (c *Cache) noticeContent(n *Node, a session.Attr) {
	f := n.file
	if f == nil || a.Flags&session.HasSize == 0 {
		return
	}
	if _, dirty := f.data.Size(); dirty {
		return // ours is newer
	}
	f.written.cutLost = false
	switch h := f.ahead; {
	case h == nil:
	case !h.ok:
		now := a
		h.crossed = &now // still on its way: it is judged when it is here
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

// contentInDoubt is contentChanged where nothing tells that the file is another than it was: what is open goes on reading it
// as what will be opened. Called with mu held.
func (c *Cache) contentInDoubt(n *Node) {
	n.file.data.Drop()
	c.forgetPages(n)
}
