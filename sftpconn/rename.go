package sftpconn

import (
	"context"

	"sshmount/sftpconn/session"
)

// Rename renames oldpath, and replaces newpath where that exists: by posix-rename@openssh.com,
// or, where the server lacks that and refuses RENAME, in steps (see replacement). So is an empty
// directory where the server has that and refuses it, as with Go's os.Rename. With noReplace it is
// the plain RENAME, which refuses to replace. After a lost line it counts as done if the old name
// is gone and the new one there. If both are names of one file then, the server has done half of
// it (OpenSSH's RENAME links and unlinks), and it is finished in steps.
// A server that follows links there is asked for no rename of one (see renameLink).
func (c *Conn) Rename(ctx context.Context, oldpath, newpath string, noReplace bool) error {
	if s := c.newest.Load(); s != nil && s.RenamesTargets() {
		if done, err := c.renameLink(ctx, oldpath, newpath, noReplace); done || err != nil {
			return wrap2(err, "rename", oldpath, newpath)
		}
	}
	inSteps, half, onlyDirs := false, false, false
	err := c.change(ctx, "rename", []string{oldpath, newpath}, func(ch *channel, again bool) error {
		rename := (*session.Session).Rename
		inSteps, onlyDirs = !noReplace, false
		if inSteps && ch.s.Has("posix-rename@openssh.com") {
			rename, inSteps, onlyDirs = (*session.Session).PosixRename, false, !ordered(ch.s)
		}
		err := ch.wait(ctx, rename(ch.s, oldpath, newpath))
		if !again || !refused(err) {
			return err
		}
		done, lookErr := c.renamed(ctx, ch, oldpath, newpath)
		if lookErr == nil && !done {
			half, lookErr = c.halfRenamed(ctx, ch, oldpath, newpath)
		}
		if isLost(lookErr) {
			return lookErr
		}
		if done {
			return nil
		}
		return err
	})
	if refused(err) && (inSteps || half || onlyDirs) {
		// Not by removing the old name: both paths may lead to one name, through a link to a directory, or because the server does not
		// distinguish upper and lower case.
		err = c.replace(ctx, oldpath, newpath, err, onlyDirs && !half)
	}
	return wrap2(err, "rename", oldpath, newpath)
}

// renamed reports whether the old name is gone and the new one there.
func (c *Conn) renamed(ctx context.Context, ch *channel, oldpath, newpath string) (bool, error) {
	before, after := ch.s.Lstat(oldpath), ch.s.Lstat(newpath)
	beforeErr, afterErr := ch.wait(ctx, before), ch.wait(ctx, after)
	switch {
	case isLost(beforeErr):
		return false, beforeErr
	case isLost(afterErr):
		return false, afterErr
	}
	return isAbsent(beforeErr) && afterErr == nil, nil
}

// halfRenamed reports whether both are names of one file.
func (c *Conn) halfRenamed(ctx context.Context, ch *channel, oldpath, newpath string) (bool, error) {
	look := ch.s.Lstat(oldpath)
	if err := ch.wait(ctx, look); err != nil || look.Attr().Mode&modeType != modeRegular {
		return false, err // anything else is renamed in one step
	}
	return c.linked(ctx, ch, oldpath, newpath)
}
