package cache

import "sshmount/sftpconn/session"

// written is what was done here to the content of a file. Guarded by Cache.mu.
//
// It has four states. dirty is what File.Size of filedata says: there are bytes, or times behind them, that the server has not acknowledged.
//
//	state        dirty  untold  times  programs see               how it ends
//	told         no     no      nil    what the server has told   a write, truncation or copy here (noteWrite): on its way
//	on its way   yes    yes     nil    our size, and the time     all is acknowledged: mtime asked
//	                                   of our last write          utimes(2) (timesBehind): times behind
//	times behind yes    yes     set    our size, and the times    all is acknowledged (takeAcknowledged): told
//	                                   that were set              a write: on its way; a truncation, or the times are refused: mtime asked
//	mtime asked  no     yes     nil    our size; the mtime has    the answer (noticeWritten), times set at once (othersSet): told
//	                                   to be asked for            a write: on its way
//
// mtimeToCome is the state on its way, mtimeUnknown the state mtime asked (mtime.go), mtimeOpen all but told; end leads to told. The other
// fields are independent of the state.
type written struct {
	untold   bool          // something was written, and the server has not told size and mtime since
	changed  bool          // the server was asked to change content or times since no handle was open: it may look different after a reconnect
	hides    bool          // the mtime that the write got may hide a change made elsewhere before: the next open reads the file again
	learning bool          // the mtime that the write got is being asked for: until the answer comes only the size tells of changes
	wanted   bool          // a program had to ask for the mtime that a write got: from then on each flush asks for it
	cutLost  bool          // nobody knows whether a truncation was done; until the server tells the size
	times    *session.Attr // times set here that follow unacknowledged bytes to the server; nil where there are none
}

// mtimeOpen says whether the server has still to tell, or to be given, the mtime of what was written. Called with mu held.
func (w *written) mtimeOpen() bool { return w.untold || w.times != nil }

// end notes that size and mtime of what was written are known now. Called with mu held.
func (w *written) end() { w.untold, w.times = false, nil }

// noteWrite notes that a file is written here: its size and mtime are ours to tell until the server is asked again. doubtful says that what
// is held of it may be out of date already: the new mtime would hide that. Called with mu held.
func (f *fileState) noteWrite(doubtful bool) {
	w := &f.written
	w.hides = w.hides || !w.untold && doubtful
	w.untold, w.times = true, nil
}

// noteWriteInto is noteWrite for bytes that are written into a file. What is held of it is doubtful where the server was last asked more than
// justWritten ago. What is held of a small file always is, as it costs nothing to read that again (cheapAgain). Called with mu held.
func (c *Cache) noteWriteInto(n *Node) {
	v, looked := &n.file.version, n.until-int64(c.timeout)
	n.file.noteWrite(v.size > 0 && (!v.known || v.size <= cheapAgain || c.now()-looked > int64(justWritten)))
}

// noticeWritten is noticeContent for a file that was written here, all of whose bytes are acknowledged: as a rule the size is ours, and the
// mtime is what the last write got. Called with mu held.
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
	f.written.end()
	f.data.SetRemoteSize(int64(a.Size))
	c.markOwn(f, signatureOf(a))
	if theirs {
		f.mark(signatureOf(a), c.serverNow()) // they may write on within the second
	}
}

// mtimeUnknown says whether all that was written here has arrived, and the server has not told yet which mtime it got. Called with mu held.
func (n *Node) mtimeUnknown() bool {
	f := n.file
	if f == nil || !f.written.untold || f.written.times != nil {
		return false
	}
	_, dirty := f.data.Size()
	return !dirty
}

// mtimeToCome says whether bytes are on their way for which the server will give the file another mtime. Called with mu held.
func (n *Node) mtimeToCome() bool {
	f := n.file
	if f == nil || f.data == nil || f.written.times != nil {
		return false
	}
	_, dirty := f.data.Size()
	return dirty
}

// clockBlur is how far, in seconds, a comparison with the server's clock may be out: because of whole seconds, and of the time of a flight.
const clockBlur = 2

// laterThanOurs says whether the mtime in a is later than the last acknowledgement of our bytes, so that somebody else has written the file.
// It is false where the server's clock is not known. Called with mu held.
func (c *Cache) laterThanOurs(f *fileState, a session.Attr) bool {
	acked := f.data.LastAck()
	return f.written.times == nil && c.clockKnown.Load() && !acked.IsZero() && int64(a.Mtime) > acked.Add(c.clockAhead()).Unix()+clockBlur
}

// takeAcknowledged enters in a node the size, and the times set here, of a file all of whose bytes the server has acknowledged. Called with
// mu held.
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
	// Size and mtime in the answer to a question from before the acknowledgement are not believed anyway. So it counts as a change made here
	// only where it makes the node look different.
	if times != nil || n.attr.Size != uint64(size) {
		c.changed(n)
	} else {
		c.outdateListing(n)
	}
	n.attr.Size = uint64(size)
	if times != nil {
		n.attr.Atime, n.attr.Mtime = times.Atime, times.Mtime
		f.written.end()
		c.markOwn(f, signatureOf(n.attr))
	}
}
