package fusefs

import (
	"context"
	"errors"
	"log/slog"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// maxName is the longest name, in bytes, that statfs(2) tells of: that of Linux
// filesystems, and what the cache takes. The kernel lets up to 1024 bytes through.
const maxName = 255

// errnoOf is what a program gets to see of an error. The cache puts an errno into
// each error whose reason is known; known is false where there was none, and EIO is
// all that can be said.
func errnoOf(err error) (errno syscall.Errno, known bool) {
	if err == nil {
		return 0, true
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok && errno != 0 {
		return errno, true
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return syscall.ETIMEDOUT, true
	case errors.Is(err, context.Canceled):
		return syscall.EINTR, true
	}
	return syscall.EIO, false
}

// status answers a request with err. As EIO tells a program nothing, the error behind
// it goes to the log.
func (fs *filesystem) status(op string, node uint64, name string, err error) fuse.Status {
	errno, known := errnoOf(err)
	if !known {
		fs.log.Error("request failed, the program gets EIO", "request", op, "inode", node, "name", name, "err", err)
	} else if errno == syscall.EIO {
		fs.log.Log(context.Background(), slog.LevelDebug, "request failed", "request", op, "inode", node, "name", name, "err", err)
	}
	return fuse.Status(errno)
}
