package sftpconn

import (
	"context"
	"fmt"
	"math"
	"time"

	"sshmount/sftpconn/session"
)

// OpenRequest describes the opening of a remote file.
type OpenRequest struct {
	// Path gives the file's path on the server, now and at each reopening after a reconnect (a rename changes it). "" means that it
	// has no name any more: it can't be reopened. It is called with no lock of this package held.
	Path   func() string
	Pflags uint32 // session.OpenRead…; for a reopening CREATE, TRUNC, EXCL and APPEND are taken out
	// Perm are the permission bits for CREATE; a file that is created has them
	// exactly, whatever the server's umask.
	Perm uint32
	// SetPerm says that Perm is to be set in the same flight although the file may have
	// existed. With EXCL it has no effect: a file made so has Perm anyway.
	SetPerm bool
	// Check looks at the attributes found at a reopening, before the new handle is used; its error (ErrStale) ends the file. May be nil.
	Check func(Attr) error
	// Lost is told, once, where a reopening finds the file shorter than it was written through this File and acknowledged, and no
	// fsync had followed: the server has crashed, or another client has cut the file. So it is where the server has refused to close what
	// was written, or may not have closed it before the line was lost. The error wraps ErrLost. May be nil.
	Lost func(error)
	// Written is told before each WRITE is sent: from then on the server may have what was written. May be nil.
	Written func()
	// Follow says that the path may be that of a link which leads to the file. Looks at it go behind the link then, and the opening
	// does without its own.
	Follow bool
	// Size is how long a file is believed to be, in bytes, that will most likely be read from its beginning at once; 0 where that is not
	// likely, or the size not known. As much as takes little time is read in the flight of the opening where that can be (see File.Head).
	Size int64
}

const onlyOnce = session.OpenCreate | session.OpenTrunc | session.OpenExcl | session.OpenAppend

// Open opens a file: LSTAT (of the path), OPEN and, where asked, SETSTAT in one
// flight on the channel of names. The attributes are those of LSTAT: before the opening,
// so that they are never newer than the content (another client may give the name to
// another file in between, and older ones show that at the next look); of a file that
// the opening makes or truncates, after it.
//
// An exclusive creation that was sent and not answered is tried again where the
// name is still absent afterwards; where it is there, it is ErrUncertain. One that was
// answered has made the file, whatever becomes of the line behind it.
func (c *Conn) Open(ctx context.Context, r OpenRequest) (*File, Attr, error) {
	o := opening{c: c, r: r, path: r.Path()}
	try := func(ch *channel, again bool) error { return o.try(ctx, ch, again) }
	var err error
	if r.Pflags&(session.OpenCreate|session.OpenTrunc) != 0 {
		err = c.change(ctx, "open", []string{o.path}, try)
	} else {
		err = c.retry(ctx, "open", o.path, try)
	}
	if err != nil {
		if o.f != nil {
			o.f.Close()
		}
		return nil, Attr{}, wrap(err, "open", o.path)
	}
	return o.f, o.a, nil
}

// opening is one Open, over as many connections as it takes.
type opening struct {
	c    *Conn
	r    OpenRequest
	path string

	absent bool // the name was free just before an OPEN that was sent

	// What came of it. A file that was made with EXCL is kept over the loss of its
	// connection: it can't be made twice, and is opened again when it is used.
	f      *File
	ch     *channel // the one that f was opened on
	handle string
	a      Attr
}

func (o *opening) creates() bool   { return o.r.Pflags&session.OpenCreate != 0 }
func (o *opening) exclusive() bool { return o.creates() && o.r.Pflags&session.OpenExcl != 0 }

// try opens on ch.
func (o *opening) try(ctx context.Context, ch *channel, again bool) error {
	if o.f != nil {
		return o.lookAgain(ctx, ch)
	}
	if again && o.exclusive() {
		switch there, err := o.c.exists(ctx, ch, o.path); {
		case err != nil:
			return err
		case there:
			return ErrUncertain // the caller may know more, and says so where it does not
		}
	}
	err := o.open(ctx, ch)
	if err != nil && o.f != nil && !(isLost(err) && o.exclusive()) {
		o.f.Close()
		o.f = nil
	}
	return err
}

// openFlight is what goes out for one try, in this order; nil for what is not needed.
type openFlight struct {
	before  *session.Call // LSTAT
	open    *session.Call
	head    *head         // READ
	chmod   *session.Call // SETSTAT
	after   *session.Call // LSTAT
	changes bool          // what is open may look otherwise than before
}

func (o *opening) send(ch *channel) openFlight {
	var fl openFlight
	wish := Attr{}
	perm := Attr{Flags: session.HasMode, Mode: o.r.Perm}
	if o.creates() {
		wish = perm
	}
	sets := o.r.SetPerm && !o.exclusive()
	fl.changes = o.creates() || sets || o.r.Pflags&session.OpenTrunc != 0
	if o.creates() && !o.exclusive() && !sets || !fl.changes && !o.r.Follow {
		fl.before, fl.open = ch.s.LookAndOpen(o.path, o.r.Pflags, wish) // tells as well whether this OPEN makes the file
	} else {
		fl.open = ch.s.OpenFile(o.path, o.r.Pflags, wish)
	}
	fl.head = o.readHead(ch, fl.open)
	if o.r.Pflags&session.OpenWrite != 0 && fl.changes && ch.link.rtt.get() > distantRTT {
		ch.link.reserve(&ch.link.write) // a copy may follow
	}
	if sets {
		fl.chmod = ch.s.Setstat(o.path, perm)
	}
	if fl.changes && (o.creates() || !o.r.Follow) {
		fl.after = ch.s.Lstat(o.path)
	}
	return fl
}

// open sends the flight and takes in its answers. It sets f as soon as the file is open.
func (o *opening) open(ctx context.Context, ch *channel) error {
	fl := o.send(ch)
	defer fl.head.drop()
	var found Attr
	var beforeErr error
	if fl.before != nil {
		if beforeErr = ch.wait(ctx, fl.before); beforeErr == nil {
			found = fl.before.Attr()
		}
	}
	err := ch.wait(ctx, fl.open)
	if err != nil {
		closeWhenOpen(o.c, ch, fl.open)
		for _, call := range []*session.Call{fl.chmod, fl.after} {
			if call != nil {
				call.Abandon()
			}
		}
		o.absent = o.absent || isAbsent(beforeErr) && wasSent(err)
		if isLost(beforeErr) {
			return beforeErr // the server was at this one
		}
		return err
	}
	o.f, o.ch, o.handle = newFile(o.c, o.r, ch, fl.open), ch, fl.open.Handle()
	first, unseen := !o.absent, false
	o.absent = o.absent || isAbsent(beforeErr) // so that it is told to be new where what follows is lost
	if fl.chmod != nil {
		if err := ch.wait(ctx, fl.chmod); err != nil {
			return seen(fmt.Errorf("set its permission bits: %w", err))
		}
	}
	if beforeErr != nil && (!fl.changes || !refused(beforeErr)) {
		return seen(beforeErr)
	}
	if fl.after != nil {
		err := ch.wait(ctx, fl.after)
		switch unseen = isAbsent(err) && o.creates() && !ordered(ch.s); {
		case unseen:
			found = o.asMade()
		case err != nil:
			return seen(err)
		case fl.before == nil || beforeErr != nil || o.r.Pflags&session.OpenTrunc != 0:
			found = fl.after.Attr()
		}
	}
	if o.f.head, o.f.looked, err = fl.head.finish(ctx, fl.open); err != nil {
		return seen(err)
	}
	// A file that an earlier OPEN has made has all of its bits but those that the umask took.
	made := o.exclusive() || isAbsent(beforeErr) || o.absent && found.Mode&modeAccess&^o.r.Perm == 0
	if made && first && !unseen {
		o.c.learnClock(found)
	}
	o.found(found, made)
	return nil
}

// asMade is what can be told of a new file that the server will show when it is closed, as those do that keep whole objects.
func (o *opening) asMade() Attr {
	now := uint32(time.Now().Unix() + o.c.clockAhead.Load())
	return Attr{
		Flags: session.HasMode | session.HasSize | session.HasTimes, Mode: modeRegular | o.r.Perm&modePerm, Atime: now, Mtime: now,
	}
}

// lookAgain finishes, on another connection, what made a file.
func (o *opening) lookAgain(ctx context.Context, ch *channel) error {
	look := ch.s.Lstat(o.path)
	if err := ch.wait(ctx, look); err != nil {
		return err
	}
	o.found(look.Attr(), true)
	return nil
}

// found takes the attributes of what was opened, and sets its permission bits right where this opening has made it.
func (o *opening) found(a Attr, made bool) {
	if made && isRegular(a) && a.Flags&session.HasMode != 0 && a.Mode&modeAccess != o.r.Perm&modeAccess {
		// Through the handle: it is the file that was made, whatever has its name by now.
		o.f.chmodLater(o.ch, o.handle, a.Mode, o.r.Perm)
		a.Mode = a.Mode&^modeAccess | o.r.Perm&modeAccess
	}
	o.a, o.f.mtime, o.f.size = a, a.Mtime, int64(min(a.Size, math.MaxInt64))
}

// chmodLater gives a file that was just made the bits perm without waiting. What is asked on the channel of names afterwards finds
// them set; after a lost line they are set again where nobody has changed them meanwhile.
func (f *File) chmodLater(ch *channel, handle string, made, perm uint32) {
	want := modeOnly(perm&modeAccess | made&^modeAccess&modePerm)
	o := &owing{f: f, on: ch}
	call := f.c.owe(o, f.r.Path(), func() *session.Call { return ch.s.Fsetstat(handle, want) })
	f.c.spawn(func() {
		defer f.c.leave(o)
		<-call.Done()
		err := call.Wait(f.c.ctx)
		if isLost(err) {
			err = f.chmodAgain(o, made, want)
		}
		if err != nil && f.c.ctx.Err() == nil {
			f.c.o.Logger.Warn("permission bits could not be set as wished", "path", f.r.Path(), "cause", err)
		}
	})
}

// chmodAgain sets the bits of a file that has those with which it was made, and to which nobody has given others since.
func (f *File) chmodAgain(o *owing, made uint32, want Attr) error {
	ctx := Patient(f.c.ctx)
	return f.c.retry(ctx, "setstat", f.r.Path(), func(ch *channel, _ bool) error {
		path := f.r.Path()
		if path == "" {
			return nil
		}
		look := ch.s.Lstat(path)
		if err := ch.wait(ctx, look); err != nil || look.Attr().Mode != made {
			return err
		}
		set := f.c.unlessSet(o, func() *session.Call { return ch.s.Setstat(path, want) })
		if set == nil {
			return nil
		}
		return ch.wait(ctx, set)
	})
}
