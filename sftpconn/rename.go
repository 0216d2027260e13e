package sftpconn

import (
	"context"

	"sshmount/sftpconn/session"
)

// Rename replaces newpath (posix-rename@openssh.com where there is; else RENAME, and
// where that is refused because newpath exists, in steps: see replacement). With
// noReplace it is the plain RENAME, which refuses. After a lost line the old name
// gone and the new one there count as done; where both are names of one file, the server
// has done half of it (OpenSSH's RENAME links and unlinks), and it is done in steps.
func (c *Conn) Rename(ctx context.Context, oldpath, newpath string, noReplace bool) error {
	inSteps, half := false, false
	err := c.change(ctx, "rename", []string{oldpath, newpath}, func(ch *channel, again bool) error {
		rename := (*session.Session).Rename
		if inSteps = !noReplace; inSteps && ch.s.Has("posix-rename@openssh.com") {
			rename, inSteps = (*session.Session).PosixRename, false
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
	if refused(err) && (inSteps || half) {
		// Never by taking the old name away: both paths may lead to one name, over a link to a directory or as the server makes no
		// difference between upper and lower case.
		err = c.replace(ctx, oldpath, newpath, err)
	}
	return wrap2(err, "rename", oldpath, newpath)
}

// renamed looks whether the old name is gone and the new one there.
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

// halfRenamed looks whether both are names of one file.
func (c *Conn) halfRenamed(ctx context.Context, ch *channel, oldpath, newpath string) (bool, error) {
	look := ch.s.Lstat(oldpath)
	if err := ch.wait(ctx, look); err != nil || look.Attr().Mode&modeType != modeRegular {
		return false, err // anything else is renamed in one step
	}
	return c.linked(ctx, ch, oldpath, newpath)
}
