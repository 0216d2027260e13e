package cache

import "sshmount/sftpconn/session"

// written is what was done here to the content of a file, and the server has not told of yet. Guarded by Cache.mu.
//
// A write, truncation or copy begins it (noteWrite). While bytes are unacknowledged (filedata's File.Size), and behind them until the
// server is asked, programs are shown our size and the time of the last write. Then the mtime is the server's to tell (mtimeUnknown,
// mtime.go); its answer, or times set here that have arrived, end it (settle).
type written struct {
	untold   bool          // something was, since the server last told size and mtime
	changed  bool          // the server was asked to change content or times since nobody had it open: it may look different after a reconnect (Handle.check)
	hides    bool          // its mtime may have taken the place of one that told of a change made elsewhere: the next open reads the file again
	learning bool          // the mtime that it got is being asked for: until then only the size tells of changes
	wanted   bool          // somebody had to ask for the mtime that a write gave: each flush asks for it from then on
	cutLost  bool          // a truncation was asked for, and nobody knows if it was done: until the server tells the size
	times    *session.Attr // times set here that travel behind unacknowledged bytes; nil where there are none
}

// unsettled says whether size or mtime of the file are still ours to tell. Called with mu held.
func (w *written) unsettled() bool { return w.untold || w.times != nil }

// settle notes that size and mtime of what was written are known. Called with mu held.
func (w *written) settle() { w.untold, w.times = false, nil }

// noteWrite notes that a file is written here: it is ours to tell about until the server has been asked again. doubtful says that what was held
// of it may have been out of date. Called with mu held.
func (f *fileState) noteWrite(doubtful bool) {
	w := &f.written
	w.hides = w.hides || !w.untold && doubtful
	w.untold, w.times = true, nil
}

// noteWriteInto is noteWrite for bytes that are written into a file. What is held of it is doubtful where the server was last asked about it
// more than justWritten ago; of a small file it always is, as reading that again costs nothing (cheapAgain). Called with mu held.
func (c *Cache) noteWriteInto(n *Node) {
	v, looked := &n.file.version, n.until-int64(c.timeout)
	n.file.noteWrite(v.size > 0 && (!v.known || v.size <= cheapAgain || c.now()-looked > int64(justWritten)))
}

// noticeWritten takes what the server says of a file that was written here: as a rule its size is ours, and its mtime the one that the
// last write got. Called with mu held.
func (c *Cache) noticeWritten(n *Node, a session.Attr) {
	f := n.file
	size, _ := f.data.Size()
	theirs := true // somebody else has written behind us
	switch {
	case uint64(size) != a.Size:
		c.contentChanged(n)
	case c.laterThanOurs(f, a):
		c.contentInDoubt(n)
	default:
		theirs = false
	}
	f.written.settle()
	f.data.SetRemoteSize(int64(a.Size))
	c.markOwn(f, signatureOf(a))
	if theirs {
		f.mark(signatureOf(a), c.serverNow()) // they may go on within the second
	}
}

// mtimeUnknown says whether the server has the last word on the mtime of what was written here, and has not
// been asked. Called with mu held.
func (n *Node) mtimeUnknown() bool {
	f := n.file
	if f == nil || !f.written.untold || f.written.times != nil {
		return false
	}
	_, dirty := f.data.Size()
	return !dirty
}

// mtimeToCome says whether the server has still to give the file the mtime of what is written here. Called with mu held.
func (n *Node) mtimeToCome() bool {
	f := n.file
	if f == nil || f.data == nil || f.written.times != nil {
		return false
	}
	_, dirty := f.data.Size()
	return dirty
}

// clockBlur is what whole seconds and a flight leave unsure in a comparison with the server's clock, in seconds.
const clockBlur = 2

// laterThanOurs says whether a file was written after the last of our bytes were acknowledged, as far as the server's clock is known.
// Called with mu held.
func (c *Cache) laterThanOurs(f *fileState, a session.Attr) bool {
	acked := f.data.LastAck()
	return f.written.times == nil && c.clockKnown.Load() && !acked.IsZero() && int64(a.Mtime) > acked.Add(c.ahead()).Unix()+clockBlur
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
	c.noteChange(n)
	times := f.written.times
	// No answer can cross with an acknowledgement: one to a question asked before it is not believed in size and mtime anyway.
	// Only what is told anew here makes a difference.
	if times != nil || n.attr.Size != uint64(size) {
		c.changed(n)
	} else {
		c.outdateListing(n)
	}
	n.attr.Size = uint64(size)
	if times != nil {
		n.attr.Atime, n.attr.Mtime = times.Atime, times.Mtime
		f.written.settle()
		c.markOwn(f, signatureOf(n.attr))
	}
}
