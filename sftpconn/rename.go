package sftpconn

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path"
)

// Rename replaces newpath (posix-rename@openssh.com where there is; else RENAME, and
// where that is refused because newpath exists, by way of a temporary name). With
// noReplace it is the plain RENAME, which refuses.
// After a lost line the old name gone and the new one there count as done.
func (c *Conn) Rename(ctx context.Context, oldpath, newpath string, noReplace bool) error {
	err := c.change(ctx, func(ch *channel, again bool) error {
		var err error
		switch {
		case noReplace:
			err = ch.wait(ctx, ch.s.Rename(oldpath, newpath))
		case ch.s.Has("posix-rename@openssh.com"):
			err = ch.wait(ctx, ch.s.PosixRename(oldpath, newpath))
		default:
			if err = ch.wait(ctx, ch.s.Rename(oldpath, newpath)); refused(err) {
				err = c.renameOver(ctx, ch, oldpath, newpath, err)
			}
		}
		if !again || !refused(err) {
			return err
		}
		done, lookErr := c.renamed(ctx, ch, oldpath, newpath)
		if isLost(lookErr) {
			return lookErr
		}
		if done {
			return nil
		}
		return err
	})
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

// renameOver replaces newpath on a server whose RENAME only refuses: newpath moves
// out of the way, and back where the rename still fails. refusal is the answer so far.
func (c *Conn) renameOver(ctx context.Context, ch *channel, oldpath, newpath string, refusal error) error {
	before, after := ch.s.Lstat(oldpath), ch.s.Lstat(newpath)
	if err := ch.wait(ctx, before); err != nil {
		return err
	}
	if err := ch.wait(ctx, after); err != nil {
		if isAbsent(err) {
			return refusal
		}
		return err
	}
	if before.Attr().Mode&modeType == modeDir || after.Attr().Mode&modeType == modeDir {
		return refusal // directories are replaced by nobody's RENAME in two steps that can be undone
	}
	aside := path.Join(path.Dir(newpath), fmt.Sprintf(".sshmount-%016x", rand.Uint64()))
	if err := ch.wait(ctx, ch.s.Rename(newpath, aside)); err != nil {
		return err
	}
	if err := ch.wait(ctx, ch.s.Rename(oldpath, newpath)); err != nil {
		if refused(err) {
			if back := ch.wait(ctx, ch.s.Rename(aside, newpath)); back != nil {
				c.o.Logger.Error("a rename failed half way; the replaced file has another name now",
					"path", newpath, "is now", aside, "cause", back)
			}
		}
		return err
	}
	if err := ch.wait(ctx, ch.s.Remove(aside)); refused(err) {
		c.o.Logger.Warn("the file that a rename replaced could not be removed", "path", aside, "cause", err)
	}
	return nil
}
