package sftpconn

import "sshmount/sftpconn/session"

// Some permission bits this side sets by itself: those that a new file lacks (chmodLater), and those that a reopening has replaced for a
// moment (openAgain). If a program sets others meanwhile, those count. So each request that sets bits is sent under bitsMu: either it
// goes out before the look, which then sees what it does, or it is noted.
//
// A new file (chmodLater) needs three calls:
//
//	owe          with the FSETSTAT of the wished bits in place of a look
//	unlessSet    only where the line was lost: the wished bits once more, unless a program has set others since owe
//	leave
//
// A reopening (findAt) needs more, as it may be cut off at any request, and begun anew by another one:
//
//	owe          with a look at the name
//	asOwed       the bits that the look has found, put right where an earlier reopening has widened them
//	(OPEN)       denied, only then take, and OPEN once more
//	take         with the request that widens the bits
//	repay        with the request that gives them back; it sends none where nothing was taken
//	repaid       that was answered. Where it was lost, the bits stay taken, and the next owe begins anew
//	leave        the file is through; it stays noted where its bits are still taken and it is open
//
// disown ends it for a file that is being closed, at any point. setBits, for what a program sets, and owes and owesBeside, for who looks at the
// bits, may come at any time.

// owing are bits that this side is about to give to a file. All of it is guarded by Conn.bitsMu.
type owing struct {
	f     *File
	on    *channel // the channel on which the server was asked to set them; nil before that
	path  string   // where the file is
	since *uint32  // bits that a program has set since the look at the file; nil where none has
	taken *uint32  // bits that the file had before openAgain widened them, and has not got back; nil where it has its own
}

// owe sends a look at the file, or another request that serves as one. From then on bits that programs set are noted. Those that were set
// since the last look replace the ones that openAgain has taken: the file is to have them.
func (c *Conn) owe(o *owing, path string, look func() *session.Call) *session.Call {
	c.bitsMu.Lock()
	defer c.bitsMu.Unlock()
	if o.taken != nil && o.since != nil {
		o.taken = o.since
	}
	o.path, o.since = path, nil
	c.owings[o] = struct{}{}
	return look()
}

// leave ends what owe has begun, unless the next reopening has to give the file its bits back.
func (c *Conn) leave(o *owing) {
	wanted := o.f.wanted()
	c.bitsMu.Lock()
	defer c.bitsMu.Unlock()
	if o.taken == nil || !wanted {
		delete(c.owings, o)
	}
}

// disown ends it for a file that is being closed.
func (c *Conn) disown(o *owing) {
	c.bitsMu.Lock()
	defer c.bitsMu.Unlock()
	delete(c.owings, o)
}

// owes reports whether this side is about to give bits to the file at path.
func (c *Conn) owes(path string) bool {
	return c.anyOwing(func(o *owing) bool { return o.path == path })
}

// owesBeside reports whether f is about to get bits by a request that is not in flight on ch: a look at f on ch may be answered first.
func (c *Conn) owesBeside(f *File, ch *channel) bool {
	return c.anyOwing(func(o *owing) bool { return o.f == f && o.on != ch })
}

func (c *Conn) anyOwing(is func(*owing) bool) bool {
	c.bitsMu.Lock()
	defer c.bitsMu.Unlock()
	for o := range c.owings {
		if is(o) {
			return true
		}
	}
	return false
}

// setBits sends attributes that a program sets, through a handle of f where that is not nil; path is "" where there is none.
func (c *Conn) setBits(f *File, path string, a Attr, send func() *session.Call) *session.Call {
	if a.Flags&session.HasMode == 0 {
		return send()
	}
	c.bitsMu.Lock()
	defer c.bitsMu.Unlock()
	for o := range c.owings {
		if o.f == f || path != "" && o.path == path {
			o.since = new(a.Mode & modePerm)
		}
	}
	return send()
}

// unlessSet sends bits, unless a program has set others: then it returns nil.
func (c *Conn) unlessSet(o *owing, send func() *session.Call) *session.Call {
	c.bitsMu.Lock()
	defer c.bitsMu.Unlock()
	if o.since != nil {
		return nil
	}
	return send()
}

// take notes that a file which was seen with these bits is to get them back, and sends the request that widens them.
func (c *Conn) take(o *owing, seen uint32, widen func(bits uint32) *session.Call) *session.Call {
	c.bitsMu.Lock()
	defer c.bitsMu.Unlock()
	o.taken = &seen
	return widen(o.due())
}

// repay sends the request that gives the file its bits back; nil where nothing was taken.
func (c *Conn) repay(o *owing, send func(bits uint32) *session.Call) *session.Call {
	c.bitsMu.Lock()
	defer c.bitsMu.Unlock()
	if o.taken == nil {
		return nil
	}
	return send(o.due())
}

// due returns the bits that the file is to have: those that a program has set since the look, else those that were taken. With bitsMu
// held; taken must not be nil.
func (o *owing) due() uint32 {
	if o.since != nil {
		o.taken, o.since = o.since, nil
	}
	return *o.taken
}

// repaid notes that the file has its own bits again.
func (c *Conn) repaid(o *owing) {
	c.bitsMu.Lock()
	defer c.bitsMu.Unlock()
	o.taken = nil
}

// asOwed returns the attributes a, which were found by name, with the bits that the file is to get back. Where it has other bits than
// openAgain left, somebody has set them, and nothing is owed any more.
func (c *Conn) asOwed(o *owing, a Attr) Attr {
	c.bitsMu.Lock()
	defer c.bitsMu.Unlock()
	switch {
	case o.taken == nil:
	case a.Mode&modePerm != *o.taken|ownersRight:
		o.taken = nil
	default:
		a.Mode = a.Mode&^modePerm | *o.taken
	}
	return a
}
