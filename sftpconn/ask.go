package sftpconn

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"sshmount/sftpconn/session"
)

// Lstat gives the attributes of path, of the link itself where it is one.
func (c *Conn) Lstat(ctx context.Context, path string) (Attr, error) {
	return c.attributes(ctx, "lstat", path, (*session.Session).Lstat)
}

// Stat follows links.
func (c *Conn) Stat(ctx context.Context, path string) (Attr, error) {
	return c.attributes(ctx, "stat", path, (*session.Session).Stat)
}

// attributes asks for those of path.
func (c *Conn) attributes(ctx context.Context, op, path string, start func(*session.Session, string) *session.Call) (a Attr, err error) {
	err = c.retry(ctx, op, path, func(ch *channel, _ bool) error {
		call := start(ch.s, path)
		if err := ch.wait(ctx, call); err != nil {
			return err
		}
		a = call.Attr()
		return nil
	})
	return a, wrap(err, op, path)
}

// Realpath makes path absolute; "." is the login directory.
func (c *Conn) Realpath(ctx context.Context, path string) (string, error) {
	name, err := c.name(ctx, "realpath", path, func(s *session.Session) *session.Call { return s.Realpath(path) })
	return name, wrap(err, "realpath", path)
}

// Expand is expand-path@openssh.com ("~user/x"); ErrUnsupported where the server lacks it.
func (c *Conn) Expand(ctx context.Context, path string) (string, error) {
	name, err := c.name(ctx, "expand", path, func(s *session.Session) *session.Call {
		if !s.Has("expand-path@openssh.com") {
			return nil
		}
		return s.ExpandPath(path)
	})
	return name, wrap(err, "expand", path)
}

// name asks for one name; start returns nil where the server lacks the request.
func (c *Conn) name(ctx context.Context, op, path string, start func(*session.Session) *session.Call) (name string, err error) {
	err = c.retry(ctx, op, path, func(ch *channel, _ bool) error {
		call := start(ch.s)
		if call == nil {
			return ErrUnsupported
		}
		if err := ch.wait(ctx, call); err != nil {
			return err
		}
		name = call.Name()
		return nil
	})
	return name, err
}

// Readlinks gives the targets of symbolic links. It asks for all in one flight; the error of each stands beside it.
func (c *Conn) Readlinks(ctx context.Context, paths []string) ([]string, []error) {
	targets, errs := make([]string, len(paths)), make([]error, len(paths))
	if len(paths) == 0 {
		return targets, errs
	}
	todo := make([]int, len(paths))
	for i := range todo {
		todo[i] = i
	}
	err := c.retry(ctx, "readlink", paths[0], func(ch *channel, _ bool) error {
		calls := make([]*session.Call, len(todo))
		for k, i := range todo {
			calls[k] = ch.s.Readlink(paths[i])
		}
		var lost []int
		var cause error
		for k, i := range todo {
			switch err := ch.wait(ctx, calls[k]); {
			case isLost(err):
				lost = append(lost, i)
				cause = cmp.Or(cause, err)
			case err != nil:
				errs[i] = wrap(err, "readlink", paths[i])
			default:
				targets[i], errs[i] = c.soundTarget(paths[i], calls[k].Name())
			}
		}
		todo = lost
		return cause
	})
	if err != nil {
		for _, i := range todo {
			errs[i] = wrap(err, "readlink", paths[i])
		}
	}
	return targets, errs
}

// soundTarget refuses a target that no link can have here: the kernel would follow what is before a NUL.
func (c *Conn) soundTarget(path, target string) (string, error) {
	if !strings.Contains(target, "\x00") {
		return target, nil
	}
	c.o.Logger.Warn("the server tells a target that no symbolic link can have here; the link is not followed", "link", path, "target", target[:min(len(target), 2*longestName)])
	return "", fmt.Errorf("readlink %q: the target has a NUL in it", path)
}

// Statvfs asks about the file system that holds path; ErrUnsupported where the server lacks it.
func (c *Conn) Statvfs(ctx context.Context, path string) (v StatVFS, err error) {
	err = c.retry(ctx, "statvfs", path, func(ch *channel, _ bool) error {
		if !ch.s.Has("statvfs@openssh.com") {
			return ErrUnsupported
		}
		call := ch.s.Statvfs(path)
		if err := ch.wait(ctx, call); err != nil {
			return err
		}
		v = call.StatVFS()
		return nil
	})
	return v, wrap(err, "statvfs", path)
}

// UserGroupNames is users-groups-by-id@openssh.com: the names of ids, "" where unknown;
// ErrUnsupported where the server lacks it.
func (c *Conn) UserGroupNames(ctx context.Context, uids, gids []uint32) (users, groups []string, err error) {
	err = c.retry(ctx, "names of users and groups", "", func(ch *channel, _ bool) error {
		if !ch.s.Has("users-groups-by-id@openssh.com") {
			return ErrUnsupported
		}
		call := ch.s.UserGroupNames(uids, gids)
		if err := ch.wait(ctx, call); err != nil {
			return err
		}
		users, groups = call.Names()
		return nil
	})
	return users, groups, err
}
