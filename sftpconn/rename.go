package sftpconn

import (
	"context"

	"sshmount/sftpconn/session"
)

// Rename replaces newpath (posix-rename@openssh.com where there is; else RENAME, and
// where that is refused because newpath exists, in steps: see replacement). With
// noReplace it is the plain RENAME, which refuses. After a lost line the old name
// gone and the new one there count as done; where both are names of one file, the old
// one is taken away: the server has done half of it (OpenSSH's RENAME links and unlinks).
func (c *Conn) Rename(ctx context.Context, oldpath, newpath string, noReplace bool) error {
	inSteps := false
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
			done, lookErr = c.finishRename(ctx, ch, oldpath, newpath)
		}
		if isLost(lookErr) {
			return lookErr
		}
		if done {
			return nil
		}
		return err
	})
	if inSteps && refused(err) {
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

// finishRename takes the old name away where both are names of one file.
func (c *Conn) finishRename(ctx context.Context, ch *channel, oldpath, newpath string) (bool, error) {
	look := ch.s.Lstat(oldpath)
	if err := ch.wait(ctx, look); err != nil || look.Attr().Mode&modeType != modeRegular {
		return false, err // anything else is renamed in one step
	}
	if same, err := c.linked(ctx, ch, oldpath, newpath); !same || err != nil {
		return false, err
	}
	err := ch.wait(ctx, ch.s.Remove(oldpath))
	return err == nil || isAbsent(err), err
}
