package sftpconn

import (
	"context"
	"fmt"

	"sshmount/sftpconn/session"
)

// OpenRequest describes the opening of a remote file.
type OpenRequest struct {
	// Path gives the file's path on the server, now and at each reopening after a reconnect (a rename changes it).
	// "" means that it has no name any more: it can't be reopened.
	// It is called with no lock of this package held.
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
	// Ahead marks an open that nobody waits for: its reads use only what the line has spare.
	Ahead bool
	// NoStat leaves the LSTAT out.
	NoStat bool
}

const onlyOnce = session.OpenCreate | session.OpenTrunc | session.OpenExcl | session.OpenAppend

// Open opens a file: OPEN, LSTAT (of the path) and, where asked, SETSTAT in one
// flight on the channel of names. The attributes are those of LSTAT, after the opening.
//
// An exclusive creation that was sent and not answered is tried again where the
// name is still absent afterwards; where it is there, it is ErrUncertain.
func (c *Conn) Open(ctx context.Context, r OpenRequest) (*File, Attr, error) {
	path := r.Path()
	var f *File
	var a Attr
	err := c.change(ctx, func(ch *channel, again bool) error {
		if again && r.Pflags&session.OpenExcl != 0 {
			switch there, err := c.exists(ctx, ch, path); {
			case err != nil:
				return err
			case there:
				c.o.Logger.Warn("a file was to be made when the connection was lost, and is there now: "+
					"whether this mount has made it cannot be told", "path", path)
				return ErrUncertain
			}
		}
		var err error
		f, a, err = c.openOn(ctx, ch, path, r)
		return err
	})
	if err != nil {
		return nil, Attr{}, wrap(err, "open", path)
	}
	return f, a, nil
}

// openOn opens path on ch.
func (c *Conn) openOn(ctx context.Context, ch *channel, path string, r OpenRequest) (*File, Attr, error) {
	var before, chmod, after *session.Call
	wish := Attr{}
	creates := r.Pflags&session.OpenCreate != 0
	exclusive := creates && r.Pflags&session.OpenExcl != 0
	if creates {
		wish = Attr{Flags: session.HasMode, Mode: r.Perm}
	}
	if creates && !exclusive && !r.SetPerm {
		before = ch.s.Lstat(path) // tells whether this OPEN makes the file
	}
	open := ch.s.OpenFile(path, r.Pflags, wish)
	if r.SetPerm && !exclusive {
		chmod = ch.s.Setstat(path, Attr{Flags: session.HasMode, Mode: r.Perm})
	}
	if !r.NoStat || creates {
		after = ch.s.Lstat(path)
	}

	if err := ch.wait(ctx, open); err != nil {
		closeWhenOpen(c, ch, open)
		return nil, Attr{}, err
	}
	f := newFile(c, r, ch, open.Handle())
	fail := func(err error) (*File, Attr, error) {
		f.Close()
		return nil, Attr{}, err
	}
	if chmod != nil {
		if err := ch.wait(ctx, chmod); err != nil {
			return fail(fmt.Errorf("set its permission bits: %w", err))
		}
	}
	made := exclusive
	if before != nil {
		err := ch.wait(ctx, before)
		if err != nil && !refused(err) {
			return fail(err)
		}
		made = isAbsent(err)
	}
	var a Attr
	if after != nil {
		err := ch.wait(ctx, after)
		if err != nil {
			return fail(err)
		}
		a = after.Attr()
	}
	if made && a.Mode&modeType == modeRegular && a.Mode&modeAccess != r.Perm&modeAccess {
		// Through the handle: it is the file that was made, whatever has its name by now.
		f.chmodLater(ch, open.Handle(), a.Mode, r.Perm)
		a.Mode = a.Mode&^modeAccess | r.Perm&modeAccess
	}
	return f, a, nil
}

// chmodLater gives a file that was just made the bits perm without waiting.
// What is asked on the channel of names afterwards finds them set; after a lost line they are set again where
// nobody has changed them meanwhile.
func (f *File) chmodLater(ch *channel, handle string, made, perm uint32) {
	perm = perm&modeAccess | made&^modeAccess&modePerm
	call := ch.s.Fsetstat(handle, Attr{Flags: session.HasMode, Mode: perm})
	f.c.spawn(func() {
		<-call.Done()
		err := call.Wait(f.c.ctx)
		if isLost(err) {
			path := f.r.Path()
			if path == "" {
				return
			}
			ctx := Patient(f.c.ctx)
			var now Attr
			if now, err = f.c.Lstat(ctx, path); err == nil && now.Mode == made {
				err = f.c.Setstat(ctx, path, Attr{Flags: session.HasMode, Mode: perm}, true)
			}
		}
		if err != nil && f.c.ctx.Err() == nil {
			f.c.o.Logger.Warn("permission bits could not be set as wished", "path", f.r.Path(), "cause", err)
		}
	})
}
