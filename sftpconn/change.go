package sftpconn

import (
	"cmp"
	"context"
	"fmt"

	"sshmount/sftpconn/session"
)

// Type bits of Attr.Mode (stat(2)).
const (
	modeType    = 0o170000
	modeRegular = 0o100000
	modeDir     = 0o040000
	modeLink    = 0o120000
	modePerm    = 0o7777
	modeAccess  = 0o777
)

// Setstat sets attributes by path; with nofollow it never follows a link at path
// (ErrUnsupported where the server has no lsetstat@openssh.com and path is a link).
// A size always follows: links have none to set.
func (c *Conn) Setstat(ctx context.Context, path string, a Attr, nofollow bool) error {
	nofollow = nofollow && a.Flags&session.HasSize == 0
	err := c.retry(ctx, "setstat", path, func(ch *channel, _ bool) error {
		set := ch.s.Setstat
		send := func() *session.Call { return set(path, a) }
		switch {
		case !nofollow:
			return ch.wait(ctx, c.setBits(nil, path, a, send))
		case ch.s.Has("lsetstat@openssh.com"):
			set = ch.s.Lsetstat
			return ch.wait(ctx, c.setBits(nil, path, a, send))
		}
		look := ch.s.Lstat(path)
		if err := ch.wait(ctx, look); err != nil {
			return err
		}
		if look.Attr().Mode&modeType == modeLink {
			return ErrUnsupported
		}
		return ch.wait(ctx, c.setBits(nil, path, a, send))
	})
	return wrap(err, "setstat", path)
}

// Mkdir makes a directory with exactly these permission bits, whatever the server's umask, if the server sets any at all. In the same
// flight it looks at what was made, and then sets the bits right where they differ; only once it is known that this call has made the
// directory, as one that another client made first must not be touched. After a lost line, 'exists' and a directory there count as made.
// Who has made it can't be told then, so it keeps its bits. The attributes returned are those of the new directory.
func (c *Conn) Mkdir(ctx context.Context, path string, perm uint32) (Attr, error) {
	var found Attr
	ours := false // the server has answered that it made the directory
	err := c.change(ctx, "mkdir", []string{path}, func(ch *channel, again bool) error {
		made := ch.s.Mkdir(path, Attr{Flags: session.HasMode, Mode: perm})
		look := ch.s.Lstat(path)
		err := ch.wait(ctx, made)
		ours = ours || err == nil
		if err != nil && !(again && refused(err)) {
			return err
		}
		if lookErr := ch.wait(ctx, look); lookErr != nil {
			if err != nil && refused(lookErr) {
				return err
			}
			return seen(lookErr)
		}
		a := look.Attr()
		if a.Mode&modeType != modeDir {
			found = a
			return err
		}
		if a.Mode&modeAccess != perm&modeAccess {
			if !ours {
				c.o.Logger.Warn("a directory was to be made when the connection was lost, and is there now; its permission bits are left as they are",
					"path", path, "wanted", fmt.Sprintf("%#o", perm), "found", fmt.Sprintf("%#o", a.Mode&modePerm))
				found = a
				return nil
			}
			// A set-group-ID bit that came from the parent stays.
			want := perm | a.Mode&^modeAccess&modePerm
			if err := ch.wait(ctx, ch.s.Setstat(path, Attr{Flags: session.HasMode, Mode: want})); err != nil {
				switch {
				case isLost(err):
					return seen(err)
				case !refused(err):
					return fmt.Errorf("made, but its permission bits could not be set: %w", err)
				}
				c.warnOfBits(path, err)
				want = a.Mode & modePerm
			}
			a.Mode = a.Mode&modeType | want
		}
		found = a
		return nil
	})
	return found, wrap(err, "mkdir", path)
}

// warnOfBits logs that something new has other permission bits than wished, because the server has refused to set them. It does so once,
// because some servers always refuse (those that keep objects and no files, or files on a disk that has no such bits).
func (c *Conn) warnOfBits(path string, cause error) {
	if !c.refusesBits.Swap(true) {
		c.o.Logger.Warn("permission bits could not be set as wished; of others that the server refuses nothing more is said", "path", path, "cause", cause)
	}
}

// Rmdir removes an empty directory. After a lost line 'no such file' counts as done.
func (c *Conn) Rmdir(ctx context.Context, path string) error {
	return wrap(c.remove(ctx, "rmdir", path, (*session.Session).Rmdir), "rmdir", path)
}

// Remove removes what is no directory. After a lost line 'no such file' counts as done.
func (c *Conn) Remove(ctx context.Context, path string) error {
	return wrap(c.remove(ctx, "remove", path, (*session.Session).Remove), "remove", path)
}

func (c *Conn) remove(ctx context.Context, op, path string, ask func(*session.Session, string) *session.Call) error {
	return c.change(ctx, op, []string{path}, func(ch *channel, again bool) error {
		err := ch.wait(ctx, ask(ch.s, path))
		if !again || !refused(err) {
			return err
		}
		gone := isAbsent(err)
		if !gone {
			// Not every server says it by the code.
			there, lookErr := c.exists(ctx, ch, path)
			if isLost(lookErr) {
				return lookErr
			}
			gone = lookErr == nil && !there
		}
		if gone {
			return nil
		}
		return err
	})
}

// exists reports whether path exists, by a look on ch.
func (c *Conn) exists(ctx context.Context, ch *channel, path string) (bool, error) {
	switch err := ch.wait(ctx, ch.s.Lstat(path)); {
	case err == nil:
		return true, nil
	case isAbsent(err):
		return false, nil
	default:
		return false, err
	}
}

// Symlink makes a symbolic link, and looks at it in the same flight. It returns the attributes of what has the name then.
// After a lost line a link there with the same target counts as made.
func (c *Conn) Symlink(ctx context.Context, target, path string) (Attr, error) {
	var found Attr
	err := c.change(ctx, "symlink", []string{path}, func(ch *channel, again bool) error {
		made := ch.s.Symlink(target, path)
		look := ch.s.Lstat(path)
		err := ch.wait(ctx, made)
		if err != nil && again && refused(err) {
			read := ch.s.Readlink(path)
			switch readErr := ch.wait(ctx, read); {
			case isLost(readErr):
				return readErr
			case readErr == nil && read.Name() == target:
				err = nil
			}
		}
		if err != nil {
			return err
		}
		if lookErr := ch.wait(ctx, look); lookErr != nil {
			return seen(lookErr)
		}
		found = look.Attr()
		if found.Mode&modeType == modeLink {
			return nil
		}
		// Something else has the name now, or the server follows links also in LSTAT, as ProFTPD does: then these attributes are the
		// target's.
		read := ch.s.Readlink(path)
		switch readErr := ch.wait(ctx, read); {
		case readErr == nil:
			found.Mode, found.Size = modeLink|modeAccess, uint64(len(target))
		case !refused(readErr):
			return seen(readErr)
		}
		return nil
	})
	return found, wrap2(err, "symlink", path, target)
}

// Link makes newpath a further name of oldpath (hardlink@openssh.com; ErrUnsupported
// where the server lacks it). After a lost line it counts as made if the same file is
// there. Where that can't be told for sure, the error is ErrUncertain.
func (c *Conn) Link(ctx context.Context, oldpath, newpath string) error {
	err := c.change(ctx, "link", []string{newpath}, func(ch *channel, again bool) error {
		if !ch.s.Has("hardlink@openssh.com") {
			return ErrUnsupported
		}
		err := ch.wait(ctx, ch.s.Hardlink(oldpath, newpath))
		if err == nil && !ordered(ch.s) {
			// rclone answers that it has made a link, and makes none. A program that believes it removes the old name (git does).
			switch there, lookErr := c.exists(ctx, ch, newpath); {
			case lookErr != nil:
				return seen(lookErr)
			case !there:
				return ErrUnsupported
			}
		}
		if !again || !refused(err) {
			return err
		}
		same, lookErr := c.linked(ctx, ch, oldpath, newpath)
		switch {
		case lookErr != nil && !refused(lookErr):
			return lookErr
		case same:
			return nil
		}
		return err
	})
	return wrap2(err, "link", oldpath, newpath)
}

// linked reports whether two names are of one file. SFTP has no inode numbers, and two files
// made in the same second may look the same (those with which programs lock by link(2) do). So
// it changes the time of the last access by one name for a moment, and looks for it by the other.
func (c *Conn) linked(ctx context.Context, ch *channel, oldpath, newpath string) (bool, error) {
	first, second := ch.s.Lstat(oldpath), ch.s.Lstat(newpath)
	if err := cmp.Or(ch.wait(ctx, first), ch.wait(ctx, second)); err != nil {
		return false, err
	}
	a := first.Attr()
	if a != second.Attr() {
		return false, nil
	}
	if a.Mode&modeType == modeLink {
		// Links can't be changed everywhere, and one is as good as another.
		first, second := ch.s.Readlink(oldpath), ch.s.Readlink(newpath)
		err := cmp.Or(ch.wait(ctx, first), ch.wait(ctx, second))
		return err == nil && first.Name() == second.Name(), err
	}
	accessed := func(at uint32) Attr { return Attr{Flags: session.HasTimes, Atime: at, Mtime: a.Mtime} }
	other := a.Atime + 1
	err := ch.wait(ctx, ch.s.Setstat(oldpath, accessed(other)))
	if refused(err) {
		c.o.Logger.Warn("a link was to be made when the connection was lost, and a file that looks like it is there now: "+
			"whether it is the same file cannot be told", "path", newpath, "cause", err)
		return false, ErrUncertain
	}
	if err != nil {
		return false, err
	}
	look := ch.s.Lstat(newpath)
	err = ch.wait(ctx, look)
	if back := ch.wait(ctx, ch.s.Setstat(oldpath, accessed(a.Atime))); back != nil {
		c.o.Logger.Debug("the time of a file's last access could not be put back", "path", oldpath, "cause", back)
	}
	return err == nil && look.Attr().Atime == other, err
}
