package sftpconn

import "sshmount/sftpconn/session"

// handle is a file opened on one channel.
type handle struct {
	ch   *channel
	full bool          // it is open for everything that the file was opened for; else for reading alone
	done chan struct{} // closed by its opener: it is open, or could not be opened

	// Guarded by File.mu; id and err do not change after done is closed.
	id      string        // before done is closed the foreseen one, where early is not nil
	early   *session.Call // the OPEN with whose foreseen handle READs are sent before it is answered; nil where they are not
	err     error
	refs    int  // requests that use it
	retired bool // another has taken its place: it is closed as soon as no request uses it
	closing bool // its CLOSE was sent: from then on the server may give its id to another file

	writes   int  // WRITEs through it that are not answered
	unstored bool // it had WRITEs that no FSYNC has followed
}

// main is the direction for which a handle must be good to be good for both.
func (f *File) main() int {
	if f.writes() {
		return writing
	}
	return reading
}

// fits reports whether h, which may be nil, is or will be open for direction dir.
func (h *handle) fits(dir int) bool { return h != nil && (h.full || dir == reading) }

// openDone reports whether its opening has come to an end, successfully or not.
func (h *handle) openDone() bool {
	select {
	case <-h.done:
		return true
	default:
		return false
	}
}

// open reports whether requests may use it. With File.mu held.
func (h *handle) open() bool { return h.openDone() && h.err == nil && !h.closing && !h.ch.over() }

// takes reports whether a request in direction dir may use h: because it is open, or, for a READ, because its handle is foreseen. Its
// opening then has to confirm what was read (see confirm). With File.mu held.
func (h *handle) takes(dir int, why purpose) bool {
	if h.openDone() {
		return h.open() && h.fits(dir)
	}
	return h.early != nil && dir == reading && why == forData && !h.retired && !h.ch.over()
}

// drop gives back a reference that use or hold has taken.
func (f *File) drop(h *handle) {
	f.mu.Lock()
	defer f.mu.Unlock()
	h.refs--
	f.giveBack(h)
}

// giveBack sends the CLOSE of h, once, if it is not needed any more and no request uses
// it. With mu held.
func (f *File) giveBack(h *handle) {
	if (f.closed || h.retired) && h.refs == 0 && h.open() {
		f.closeHandle(h)
	}
}

// hold takes one more reference of a handle in use.
func (f *File) hold(h *handle) {
	f.mu.Lock()
	defer f.mu.Unlock()
	h.refs++
}
