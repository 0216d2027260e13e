package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"sshmount/cmd/sshmount/cmdline"
	"sshmount/fusefs"
	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
)

// lateMap is a map of ids that is filled in before the kernel asks anything:
// who the remote user is the server has to say, and it is asked while the
// remote directory is looked at, so that a mount takes no round trip for it.
type lateMap struct{ fusefs.IDMapper }

// idMap makes the map that the user chose. It is complete when filled has returned.
func idMap(ctx context.Context, set *cmdline.Settings, conn *sftpconn.Conn, log *slog.Logger) (m fusefs.IDMapper, filled func() error, err error) {
	nothing := func() error { return nil }
	switch set.IDMap {
	case cmdline.MapUser:
		late, done := new(lateMap), make(chan error, 1)
		go func() { done <- late.learn(ctx, conn) }()
		return late, func() error { return <-done }, nil
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

// learn takes the owner of the login directory for the remote user. A server
// that tells no owners has all files owned by 0, which are then shown as ours.
func (l *lateMap) learn(ctx context.Context, conn *sftpconn.Conn) error {
	home, err := conn.Stat(ctx, ".")
	if err != nil {
		return fmt.Errorf("cannot learn the remote user's id from the login directory (idmap=none does without): %w", err)
	}
	var uid, gid uint32
	if home.Flags&session.HasOwner != 0 {
		uid, gid = home.UID, home.GID
	}
	l.IDMapper = fusefs.NewUserMap(uid, gid, uint32(os.Getuid()), uint32(os.Getgid()))
	return nil
}
