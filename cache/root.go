package cache

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"syscall"

	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
)

// resolveRoot turns what the user wrote into an absolute path, and checks that it is a directory.
func resolveRoot(ctx context.Context, conn *sftpconn.Conn, root string) (string, session.Attr, error) {
	shown := root
	if shown == "" {
		shown = "the login directory"
	}
	ask, err := expandRoot(ctx, conn, root)
	if err != nil {
		return "", session.Attr{}, fmt.Errorf("remote directory %s: %w", shown, err)
	}
	// Both questions go out in one flight.
	var abs string
	resolved := make(chan error, 1)
	go func() {
		var err error
		abs, err = conn.Realpath(ctx, ask)
		resolved <- err
	}()
	attr, err := conn.Stat(ctx, ask)
	resolveErr := <-resolved
	if err != nil {
		if hasCode(err, session.StatusNoSuchFile) {
			return "", attr, fmt.Errorf("remote directory %s does not exist: %w", shown, syscall.ENOENT)
		}
		if hasCode(err, session.StatusPermissionDenied) {
			return "", attr, fmt.Errorf("remote directory %s: permission denied: %w", shown, syscall.EACCES)
		}
		return "", attr, fmt.Errorf("looking at the remote directory %s: %w", shown, err)
	}
	if attr.Flags&session.HasMode == 0 || attr.Mode&syscall.S_IFMT == 0 {
		return "", attr, fmt.Errorf("the server does not tell what is a directory and what a file (its attributes of %s have no type): %w",
			shown, syscall.EOPNOTSUPP)
	}
	if attr.Mode&syscall.S_IFMT != syscall.S_IFDIR {
		return "", attr, fmt.Errorf("%s is not a directory on the server: %w", shown, syscall.ENOTDIR)
	}
	if resolveErr != nil {
		return "", attr, fmt.Errorf("resolving the remote directory %s: %w", shown, resolveErr)
	}
	if abs == "" || strings.ContainsRune(abs, 0) {
		return "", attr, fmt.Errorf("resolving the remote directory %s: the server answers %q, which is no path", shown, abs)
	}
	if !path.IsAbs(abs) {
		abs = "/" + abs
	}
	return path.Clean(abs), attr, nil
}

// expandRoot gives the path by which a root is asked for: one that begins with ~ is in somebody's home directory, which the server must
// tell where it is not the user's own.
func expandRoot(ctx context.Context, conn *sftpconn.Conn, root string) (string, error) {
	if root == "" {
		return ".", nil
	}
	if !strings.HasPrefix(root, "~") {
		return root, nil
	}
	full, err := conn.Expand(ctx, root)
	switch {
	case err == nil:
		return full, nil
	case refusal(err) != nil:
		return "", fmt.Errorf("%w; a directory that is called so is written ./%s", err, root)
	case !errors.Is(err, sftpconn.ErrUnsupported):
		return "", err
	case root == "~":
		return ".", nil
	}
	if rest, ok := strings.CutPrefix(root, "~/"); ok {
		return "./" + rest, nil
	}
	return root, nil
}
