package sftpconn

import "sshmount/sftpconn/session"

// Some permission bits this side sets by itself: those that a file just made lacks (chmodLater), and those that a reopening has
// taken from a file for a moment (openAgain). A program may set others meanwhile, and then those are the ones to set. So each
// request that sets bits is sent under bitsMu: either the look that came before saw what it does, or it is noted.

// owing are bits that this side is about to give to a file. All of it is guarded by Conn.bitsMu.
type owing struct {
	f     *File
	on    *channel // the channel on which the server was asked to set them; nil before that
	path  string   // where the file is
	since *uint32  // what a program has set since the look at the file; nil for nothing
	taken *uint32  // what openAgain has taken from the file and not given back; nil where the file has its bits
}

// owe sends a look at the file, or what is as good as one; from then on what programs set is noted. What they have set since the last
// look takes the place of what openAgain has taken: the file is to have that.
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

// leave ends what owe has begun, but for a file that is to be given its bits back at the next reopening.
func (c *Conn) leave(o *owing) {
	wanted := o.f.wanted()
	c.bitsMu.Lock()
	defer c.bitsMu.Unlock()
	if o.taken == nil || !wanted {
		delete(c.owings, o)
	}
}

// disown ends it where nobody has the file open any more.
func (c *Conn) disown(o *owing) {
	c.bitsMu.Lock()
	defer c.bitsMu.Unlock()
	delete(c.owings, o)
}

// owes says whether this side is about to give bits to the file at path.
func (c *Conn) owes(path string) bool {
	return c.anyOwing(func(o *owing) bool { return o.path == path })
}

// owesBeside says whether f is about to be given bits by another request than one on its way on ch: a look at f on ch may come first.
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

// unlessSet sends bits, but where a program has set others; nil then.
func (c *Conn) unlessSet(o *owing, send func() *session.Call) *session.Call {
	c.bitsMu.Lock()
	defer c.bitsMu.Unlock()
	if o.since != nil {
		return nil
	}
	return send()
}

// take notes that a file which was seen with these bits is to have them back, and sends what widens them.
func (c *Conn) take(o *owing, seen uint32, widen func(bits uint32) *session.Call) *session.Call {
	c.bitsMu.Lock()
	defer c.bitsMu.Unlock()
	o.taken = &seen
	return widen(o.due())
}

// repay sends what gives the file its bits back; nil where nothing was taken.
func (c *Conn) repay(o *owing, send func(bits uint32) *session.Call) *session.Call {
	c.bitsMu.Lock()
	defer c.bitsMu.Unlock()
	if o.taken == nil {
		return nil
	}
	return send(o.due())
}

// due gives the bits that the file is to have: those that a program has set since the look, or else those that were taken. With bitsMu
// held, and taken not nil.
func (o *owing) due() uint32 {
	if o.since != nil {
		o.taken, o.since = o.since, nil
	}
	return *o.taken
}

// repaid notes that the file has its bits.
func (c *Conn) repaid(o *owing) {
	c.bitsMu.Lock()
	defer c.bitsMu.Unlock()
	o.taken = nil
}

// asOwed gives the attributes found by name with the bits that the file is to be given back. Where it has others than
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
