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
	// Path returns the file's present path on the server. It is also called at each reopening after a reconnect, because a rename
	// changes the path. "" means that the file has no name any more: it can't be reopened then. It is called with no lock of this
	// package held.
	Path   func() string
	Pflags uint32 // session.OpenRead…; for a reopening CREATE, TRUNC, EXCL and APPEND are taken out
	// Perm are the permission bits for CREATE. A file that is created gets exactly
	// these, whatever the server's umask.
	Perm uint32
	// SetPerm says that Perm is to be set, in the same flight, also on a file that existed
	// before. With EXCL it has no effect.
	SetPerm bool
	// Check judges the attributes found at a reopening, before the new handle is used. Its error means that it is another file: every
	// further use of the File fails with ErrStale. May be nil.
	Check func(Attr) error
	// Lost is called with an error that wraps ErrLost where acknowledged bytes may be gone: a reopening finds the file shorter than it
	// was written through this File, with no fsync behind that (the server has crashed, or another client has cut the file; told once);
	// the server has refused to close what was written; or it may not have closed it before the line was lost. May be nil.
	Lost func(error)
	// Written is called before each WRITE is sent: from then on the server may have what was written. May be nil.
	Written func()
	// Follow says that the path may be a symbolic link to the file. Looks follow the link then, and Open makes no look of its own.
	Follow bool
	// Size is how long the file is believed to be, in bytes, if it will most likely be read from its beginning at once; 0 where that is
	// not likely, or the size is not known. If possible, its beginning is read in the flight of the opening (see File.Head).
	Size int64
}

// onlyOnce are the flags of OPEN that a reopening leaves out.
const onlyOnce = session.OpenCreate | session.OpenTrunc | session.OpenExcl | session.OpenAppend

// Open opens a file: LSTAT (of the path), OPEN and, if asked for, SETSTAT go out in one
// flight on the channel of names. The attributes are those of LSTAT. It goes out before the
// OPEN, so that the attributes are never newer than the content: another client may give
// the name to another file in between, and older attributes show that at the next look.
// For a file that the opening makes or truncates it goes out after the OPEN.
//
// An exclusive creation that was sent and not answered is tried again if the name is still
// absent afterwards; if it is there, the error is ErrUncertain. One that was answered has
// made the file, even if the line is lost right behind the answer.
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

// opening is the state of one Open, over as many connections as it takes.
type opening struct {
	c    *Conn
	r    OpenRequest
	path string

	absent bool // the name was absent just before an OPEN that was sent

	// The result. A file that was made with EXCL is kept when its connection is lost: it
	// can't be made twice, and is opened again when it is used.
	f      *File
	ch     *channel // the one that f was opened on
	handle string
	a      Attr
}

func (o *opening) creates() bool   { return o.r.Pflags&session.OpenCreate != 0 }
func (o *opening) exclusive() bool { return o.creates() && o.r.Pflags&session.OpenExcl != 0 }

// try opens the file on ch, or finishes what an earlier try has begun.
func (o *opening) try(ctx context.Context, ch *channel, again bool) error {
	if o.f != nil {
		return o.lookAgain(ctx, ch)
	}
	if again && o.exclusive() {
		switch there, err := o.c.exists(ctx, ch, o.path); {
		case err != nil:
			return err
		case there:
			return ErrUncertain // this side may have made it, or another
		}
	}
	err := o.open(ctx, ch)
	if err != nil && o.f != nil && !(isLost(err) && o.exclusive()) {
		o.f.Close()
		o.f = nil
	}
	return err
}

// openFlight holds the requests of one try, in the order in which they go out; those that are not needed are nil. Beside the OPEN, and the READ
// where the beginning of the file is wanted, these are:
//
//	opens what is there                        before; nothing where links are followed
//	cuts what is there                         after; nothing where links are followed
//	makes it, or opens what is there           before (which tells whether it was made), after
//	the same, and sets its bits (SetPerm)      chmod, after
//	makes it (EXCL)                            after
type openFlight struct {
	before  *session.Call // LSTAT
	open    *session.Call
	head    *head         // READ
	chmod   *session.Call // SETSTAT
	after   *session.Call // LSTAT
	changes bool          // the OPEN or SETSTAT may change the attributes
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

// open sends a flight and waits for its answers. It sets f as soon as the file is open.
func (o *opening) open(ctx context.Context, ch *channel) error {
	fl := o.send(ch)
	defer fl.head.drop()
	var beforeErr error
	if fl.before != nil {
		beforeErr = ch.wait(ctx, fl.before)
	}
	err := ch.wait(ctx, fl.open)
	if err != nil {
		return o.notOpened(ch, fl, beforeErr, err)
	}
	o.f, o.ch, o.handle = newFile(o.c, o.r, ch, fl.open), ch, fl.open.Handle()
	first := !o.absent                         // no earlier OPEN can have made the file
	o.absent = o.absent || isAbsent(beforeErr) // if the rest of the flight is lost, the next try knows that the file is new
	if fl.chmod != nil {
		if err := ch.wait(ctx, fl.chmod); err != nil {
			return seen(fmt.Errorf("set its permission bits: %w", err))
		}
	}
	if beforeErr != nil && (!fl.changes || !refused(beforeErr)) {
		return seen(beforeErr)
	}
	found, unseen, err := o.attributes(ctx, ch, fl, beforeErr)
	if err != nil {
		return seen(err)
	}
	if o.f.head, o.f.looked, err = fl.head.finish(ctx, fl.open); err != nil {
		return seen(err)
	}
	// A file that an earlier OPEN has made has the wished bits, less those that the umask took.
	made := o.exclusive() || isAbsent(beforeErr) || o.absent && found.Mode&modeAccess&^o.r.Perm == 0
	if made && first && !unseen {
		o.c.learnClock(found)
	}
	o.found(found, made)
	return nil
}

// notOpened ends a try whose OPEN has failed with err, and returns its error; beforeErr is that of fl.before.
func (o *opening) notOpened(ch *channel, fl openFlight, beforeErr, err error) error {
	closeWhenOpen(o.c, ch, fl.open)
	for _, call := range []*session.Call{fl.chmod, fl.after} {
		if call != nil {
			call.Abandon()
		}
	}
	o.absent = o.absent || isAbsent(beforeErr) && wasSent(err)
	if isLost(beforeErr) {
		return beforeErr // it was this request that the server was working on
	}
	return err
}

// attributes returns those of what was opened: from before the OPEN where it was there then and has kept its content, else from after it. unseen
// says that the server shows a file that was made only when it is closed. beforeErr is the error of fl.before.
func (o *opening) attributes(ctx context.Context, ch *channel, fl openFlight, beforeErr error) (found Attr, unseen bool, err error) {
	known := fl.before != nil && beforeErr == nil
	if known {
		found = fl.before.Attr()
	}
	if fl.after == nil {
		return found, false, nil
	}
	err = ch.wait(ctx, fl.after)
	switch unseen = isAbsent(err) && o.creates() && !ordered(ch.s); {
	case unseen:
		return o.asMade(), true, nil
	case err != nil:
		return found, false, err
	case !known || o.r.Pflags&session.OpenTrunc != 0:
		found = fl.after.Attr()
	}
	return found, false, nil
}

// asMade returns what a new file should look like, for servers that show it only when it is closed because they keep whole objects.
func (o *opening) asMade() Attr {
	now := uint32(time.Now().Unix() + o.c.clockAhead.Load())
	return Attr{
		Flags: session.HasMode | session.HasSize | session.HasTimes, Mode: modeRegular | o.r.Perm&modePerm, Atime: now, Mtime: now,
	}
}

// lookAgain finishes an opening that has made a file, on another connection.
func (o *opening) lookAgain(ctx context.Context, ch *channel) error {
	look := ch.s.Lstat(o.path)
	if err := ch.wait(ctx, look); err != nil {
		return err
	}
	o.found(look.Attr(), true)
	return nil
}

// found notes the attributes of what was opened. Where this opening has made it, and the bits are not as wished, it sets them right.
func (o *opening) found(a Attr, made bool) {
	if made && isRegular(a) && a.Flags&session.HasMode != 0 && a.Mode&modeAccess != o.r.Perm&modeAccess {
		// Through the handle, which is sure to be of the file that was made, whatever has its name by now.
		o.f.chmodLater(o.ch, o.handle, a.Mode, o.r.Perm)
		a.Mode = a.Mode&^modeAccess | o.r.Perm&modeAccess
	}
	o.a, o.f.mtime, o.f.size = a, a.Mtime, int64(min(a.Size, math.MaxInt64))
}

// chmodLater sets the bits perm of a file that was just made, and does not wait. Later requests on the channel of names find them set.
// After a lost line they are set again, unless somebody has changed them meanwhile.
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
		switch {
		case err == nil || f.c.ctx.Err() != nil:
		case refused(err):
			f.c.warnOfBits(f.r.Path(), err)
		default:
			f.c.o.Logger.Warn("permission bits could not be set as wished", "path", f.r.Path(), "cause", err)
		}
	})
}

// chmodAgain sets the bits of a file that still has those with which it was made, and for which no program has wished others.
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
