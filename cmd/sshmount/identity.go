package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"sshmount/cache"
	"sshmount/cmd/sshmount/cmdline"
	"sshmount/fusefs"
	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
)

// lateMap is a map of ids that is filled in before the kernel asks anything. Only the
// server knows who the remote user is. It is asked while the remote directory is looked
// at, so that this costs a mount no further round trip.
type lateMap struct{ fusefs.IDMapper }

// ids are whom a directory of the server belongs to. A server that tells no
// owners has all files owned by 0, which are then shown as ours.
type ids struct{ uid, gid uint32 }

// idMap makes the map of ids that the user has chosen. The map is complete when filled has returned, which calls mounted if it needs the
// attributes of the mounted directory.
func idMap(ctx context.Context, set *cmdline.Settings, conn *sftpconn.Conn, log *slog.Logger) (m fusefs.IDMapper, filled func(mounted func() (cache.Attr, error)) error, err error) {
	nothing := func(func() (cache.Attr, error)) error { return nil }
	switch set.IDMap {
	case cmdline.MapUser:
		type answer struct {
			login ids
			err   error
		}
		late, asked := new(lateMap), make(chan answer, 1)
		go func() {
			login, err := loginOwner(ctx, conn)
			asked <- answer{login, err}
		}()
		return late, func(mounted func() (cache.Attr, error)) error {
			a := <-asked
			if a.err != nil {
				return a.err
			}
			user := remoteUser(ctx, conn, a.login, mounted)
			late.IDMapper = fusefs.NewUserMap(user.uid, user.gid, uint32(os.Getuid()), uint32(os.Getgid()))
			return nil
		}, nil
	case cmdline.MapName:
		if !conn.Has("users-groups-by-id@openssh.com") {
			log.Warn("idmap=name: the server can't tell the names of users and groups (OpenSSH 9.1 and newer can): " +
				"owners are shown by its numbers, and can't be changed")
		}
		return fusefs.NewNameMap(conn.UserGroupNames), nothing, nil
	case cmdline.MapFile:
		m, err := fusefs.NewFileMap(set.UIDFile, set.GIDFile, set.IgnoreUnmapped)
		return m, nothing, err
	}
	return nil, nothing, nil
}

// loginOwner is the owner of the login directory.
func loginOwner(ctx context.Context, conn *sftpconn.Conn) (ids, error) {
	home, err := conn.Stat(ctx, ".")
	if err != nil {
		return ids{}, fmt.Errorf("cannot learn the remote user's id from the login directory (idmap=none does without): %w", err)
	}
	if home.Flags&session.HasOwner == 0 {
		return ids{}, nil
	}
	return ids{home.UID, home.GID}, nil
}

// remoteUser returns the ids of the user who is logged in: those of the login directory. Where that belongs to root, and it is not root who
// logs in (a chroot, whose top has to be root's, or an account without a home), they are those of the mounted directory, unless the
// server says that its owner has another name.
func remoteUser(ctx context.Context, conn *sftpconn.Conn, login ids, mounted func() (cache.Attr, error)) ids {
	name := conn.Status().Info.User
	if login.uid != 0 || name == "" || name == "root" {
		return login
	}
	dir, err := mounted()
	if err != nil || dir.UID == 0 {
		return login
	}
	// A chroot mostly has no list of users: no name then, and no error.
	if names, _, err := conn.UserGroupNames(ctx, []uint32{dir.UID}, nil); err == nil && names[0] != "" && names[0] != name {
		return login
	}
	return ids{dir.UID, dir.GID}
}
