package sftpconn

import (
	"context"
	"path/filepath"

	"sshmount/sftpconn/session"
)

// renameLink goes before a rename on a server that follows links at both names: what they lead to would be moved, or replaced. A link
// with the new name is removed; one with the old name is made anew with the new one, and done is true then.
func (c *Conn) renameLink(ctx context.Context, oldpath, newpath string, noReplace bool) (done bool, err error) {
	targets, errs := c.Readlinks(ctx, []string{oldpath, newpath})
	for _, err := range errs {
		if err != nil && !refused(err) {
			return false, err
		}
	}
	isLink, replacesLink := errs[0] == nil, errs[1] == nil
	switch {
	case replacesLink && noReplace:
		return false, &session.StatusError{Code: session.StatusFileAlreadyExists}
	case replacesLink:
		if !isLink { // what is not there must cost no link
			if _, err := c.Lstat(ctx, oldpath); err != nil {
				return false, err
			}
		}
		if err := c.Remove(ctx, newpath); err != nil {
			return false, err
		}
	}
	if !isLink {
		return false, nil
	}
	target := targets[0]
	// Such a server tells all targets as absolute ones. The relative one also holds outside of the directory that the server shows as its root.
	if rel, err := filepath.Rel(filepath.Dir(newpath), target); err == nil && filepath.IsAbs(target) {
		target = rel
	}
	_, err = c.Symlink(ctx, target, newpath)
	if refused(err) && !noReplace && !replacesLink && c.Remove(ctx, newpath) == nil {
		_, err = c.Symlink(ctx, target, newpath)
	}
	if err != nil {
		return false, err
	}
	return true, c.Remove(ctx, oldpath)
}
