package cache

import (
	"time"

	"sshmount/cache/filedata"
	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
)

// fileState is what is known of a regular file's bytes. Guarded by Cache.mu.
type fileState struct {
	data    *filedata.File
	handles map[*Handle]struct{} // those that are open
	writers int                  // of them, those open for writing

	// The state of the file that the clean bytes held here, and the pages that the kernel holds, are of.
	known bool // size and mtime tell it
	size  uint64
	mtime uint32
	racy  bool // a change made elsewhere since then might not show in size and mtime: the next open reads the file again
	own   bool // that state is what writes made here have left
	held  bool // that state was opened, or written here: the bytes are most likely still here or in the kernel's pages

	// What the kernel has to be told of its pages.
	pagesOld        bool // they may be of an older state, or readers of an older one go on putting such bytes there
	mustForgetPages bool // a change was seen while the file was open: they must be gone before new attributes are told
	opening         bool // an opening is being entered: its answer has the kernel drop the pages, and no notice does

	// What was written here.
	wrote    bool          // bytes were, since the server last told size and mtime
	hides    bool          // their mtime may have taken the place of one that told of a change made elsewhere: the next open reads the file again
	learning bool          // the mtime that they got is being asked for: until then only the size tells of changes
	cutLost  bool          // a truncation was asked for, and nobody knows if it was done: until the server tells the size
	ownTimes *session.Attr // times set here that travel behind unacknowledged bytes; nil where there are none

	next uint64 // the id of the file that was opened after this one the last time; 0 where none was soon

	kept  *kept  // the remote file that the last close left open for a while
	ahead *ahead // content fetched or looked at before anybody asked
}

// content gives a node its fileState. Called with mu held.
func (c *Cache) content(n *Node) *fileState {
	if n.file == nil {
		n.file = &fileState{data: c.pool.NewFile(n, int64(n.attr.Size)), handles: map[*Handle]struct{}{}}
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

// cheapAgain is the size, in bytes, up to which a file is read again for nothing: within the flight of its opening, at any distance.
const cheapAgain = sftpconn.HeadNear

// mark notes which state of a file the clean bytes are of. One that came about in the second, on the server's clock, in which it was
// looked at may have another behind it with the same mtime. Called with mu held.
func (f *fileState) mark(size uint64, mtime uint32, looked int64) {
	f.known, f.size, f.mtime, f.own, f.hides = true, size, mtime, false, false
	f.racy = looked-int64(mtime) < 2
}

// markOwn is mark for a state that came about here, when the last bytes were written. What was just written is read again only where
// that costs no round trip: others rarely change a file in the same second, and a build reads what it has written. The open handles take
// the state over, as they must find it again after a reconnect. Called with mu held.
func (c *Cache) markOwn(f *fileState, size uint64, mtime uint32) {
	written := c.serverNow()
	if at := f.data.LastWrite(); !at.IsZero() {
		written -= int64(time.Since(at).Seconds())
	}
	hides := f.hides
	f.mark(size, mtime, written)
	f.own, f.hides = true, hides
	f.racy = f.racy && size <= cheapAgain || hides
	for h := range f.handles {
		if h.size != size || h.mtime != mtime {
			h.unsure = true
			h.formerSize, h.formerMtime = h.size, h.mtime
			h.size, h.mtime = size, mtime
		}
	}
}

// noteWrite notes that a file is written here: it is ours to tell about until the server has been asked again. doubtful says that what was held
// of it may have been out of date. Called with mu held.
func (f *fileState) noteWrite(doubtful bool) {
	f.hides = f.hides || !f.wrote && doubtful
	f.wrote, f.ownTimes = true, nil
}

// noteWriteInto is noteWrite for bytes that are written into a file. What is held of it is doubtful where the server was last asked about it
// more than justWritten ago; of a small file it always is, as reading that again costs nothing (cheapAgain). Called with mu held.
func (c *Cache) noteWriteInto(n *Node) {
	f, looked := n.file, n.until-int64(c.timeout)
	f.noteWrite(f.size > 0 && (!f.known || f.size <= cheapAgain || c.now()-looked > int64(justWritten)))
}

// mtimeUnknown says whether the server has the last word on the mtime of what was written here, and has not
// been asked. Called with mu held.
func (n *Node) mtimeUnknown() bool {
	f := n.file
	if f == nil || !f.wrote || f.ownTimes != nil {
		return false
	}
	_, dirty := f.data.Size()
	return !dirty
}

// noticeContent compares what the server says of a file with the state that the bytes here are of. Called with mu held.
func (c *Cache) noticeContent(n *Node, a session.Attr) {
	f := n.file
	if f == nil || a.Flags&session.HasSize == 0 {
		return
	}
	if _, dirty := f.data.Size(); dirty {
		return // ours is newer
	}
	f.cutLost = false
	switch h := f.ahead; {
	case h == nil:
	case !h.ok:
		now := a
		h.crossed = &now // still on its way: it is judged when it is here
	case h.contradicts(a):
		c.dropAhead(n)
	}
	if f.wrote {
		size, _ := f.data.Size()
		theirs := true
		switch {
		case uint64(size) != a.Size:
			c.contentChanged(n)
		case c.laterThanOurs(f, a):
			c.contentInDoubt(n)
		default:
			theirs = false
		}
		f.wrote, f.ownTimes = false, nil
		f.data.SetRemoteSize(int64(a.Size))
		c.markOwn(f, a.Size, a.Mtime)
		if theirs {
			f.mark(a.Size, a.Mtime, c.serverNow()) // they may go on within the second
		}
		return
	}
	if !f.known || f.size != a.Size || f.mtime != a.Mtime {
		switch {
		case f.known:
			c.contentChanged(n)
		case f.held:
			c.contentInDoubt(n)
		}
		f.data.SetRemoteSize(int64(a.Size))
		f.mark(a.Size, a.Mtime, c.serverNow())
	}
}

// clockBlur is what whole seconds and a flight leave unsure in a comparison with the server's clock, in seconds.
const clockBlur = 2

// laterThanOurs says whether a file was written after the last of our bytes were acknowledged, as far as the server's clock is known.
// Called with mu held.
func (c *Cache) laterThanOurs(f *fileState, a session.Attr) bool {
	acked := f.data.LastAck()
	return f.ownTimes == nil && c.clockKnown.Load() && !acked.IsZero() && int64(a.Mtime) > acked.Unix()+c.clock.Load()+clockBlur
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

// forgetPages has the kernel, and the next open, drop the pages of a file. An opening that has found the change gives no notice: it would
// come during the first READ of the handle, and the kernel, which then does not take a short answer for the end of the file, would show
// zeros up to the size that the file had before. Called with mu held.
func (c *Cache) forgetPages(n *Node) {
	n.file.pagesOld, n.file.mustForgetPages, n.file.held, n.file.hides = true, len(n.file.handles) > 0, false, false
	c.dropKept(n)
	if !n.file.opening {
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
	if f == nil || !f.mustForgetPages {
		return false
	}
	f.mustForgetPages = false
	return true
}

// good says whether the bytes held here are those of a file with these attributes, for all that can be told. Called with mu held.
func (f *fileState) good(a session.Attr) bool {
	return f.known && !f.racy && f.size == a.Size && f.mtime == a.Mtime && !f.data.Short()
}

// keepPages turns what an open has found out of the bytes held here into its answer to the kernel: pages that may be older are
// not kept, and those that come after the answer are new. Called with mu held.
func (f *fileState) keepPages(good bool) bool {
	keep := good && !f.pagesOld
	if !keep {
		// Readers of an earlier content go on putting that into the pages.
		f.pagesOld = f.data.Divided()
	}
	return keep
}

// takeAcknowledged takes over size and times of a file whose bytes the server has acknowledged. Called with mu held.
func (c *Cache) takeAcknowledged(n *Node) {
	f := n.file
	if f == nil {
		return
	}
	size, dirty := f.data.Size()
	if dirty {
		return
	}
	// No answer can cross with an acknowledgement: one to a question asked before it is not believed in size and mtime anyway.
	// Only what is told anew here makes a difference.
	if f.ownTimes != nil || n.attr.Size != uint64(size) {
		c.changed(n)
	} else {
		c.outdateListing(n)
	}
	n.attr.Size = uint64(size)
	if f.ownTimes != nil {
		n.attr.Atime, n.attr.Mtime = f.ownTimes.Atime, f.ownTimes.Mtime
		f.wrote, f.ownTimes = false, nil
		c.markOwn(f, n.attr.Size, n.attr.Mtime)
	}
}
