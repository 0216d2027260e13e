package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"

	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
)

// opError is an error with the errno that a program sees, what was tried, and what came back.
type opError struct {
	op, path string
	errno    syscall.Errno
	err      error // may be nil
}

func (e *opError) Error() string {
	s := e.op
	if e.path != "" {
		s += fmt.Sprintf(" %q", e.path)
	}
	s += ": " + e.errno.Error()
	if e.err != nil {
		s += " (" + e.err.Error() + ")"
	}
	return s
}

func (e *opError) Unwrap() []error {
	if e.err == nil {
		return []error{e.errno}
	}
	return []error{e.errno, e.err}
}

// fail makes an error with an errno. err is its cause, which may be nil.
func fail(op, path string, errno syscall.Errno, err error) error {
	return &opError{op: op, path: path, errno: errno, err: err}
}

// laterCodes are the status codes of SFTP v4 to v6 (draft-ietf-secsh-filexfer-13, section 9.1), which some servers send in v3, too.
var laterCodes = map[uint32]syscall.Errno{
	session.StatusInvalidHandle:         syscall.EBADF,
	session.StatusNoSuchPath:            syscall.ENOENT,
	session.StatusFileAlreadyExists:     syscall.EEXIST,
	session.StatusWriteProtect:          syscall.EROFS,
	session.StatusNoMedia:               syscall.ENXIO,
	session.StatusNoSpaceOnFilesystem:   syscall.ENOSPC,
	session.StatusQuotaExceeded:         syscall.EDQUOT,
	session.StatusUnknownPrincipal:      syscall.EINVAL,
	session.StatusLockConflict:          syscall.EAGAIN,
	session.StatusDirNotEmpty:           syscall.ENOTEMPTY,
	session.StatusNotADirectory:         syscall.ENOTDIR,
	session.StatusInvalidFilename:       syscall.EINVAL,
	session.StatusLinkLoop:              syscall.ELOOP,
	session.StatusCannotDelete:          syscall.EPERM,
	session.StatusInvalidParameter:      syscall.EINVAL,
	session.StatusFileIsADirectory:      syscall.EISDIR,
	session.StatusByteRangeLockConflict: syscall.EAGAIN,
	session.StatusByteRangeLockRefused:  syscall.EAGAIN,
	session.StatusDeletePending:         syscall.EBUSY,
	session.StatusFileCorrupt:           syscall.EIO,
	session.StatusOwnerInvalid:          syscall.EPERM,
	session.StatusGroupInvalid:          syscall.EPERM,
	session.StatusNoMatchingLock:        syscall.EIO,
}

// withErrno gives an error of sftpconn the errno that its kind or its status code stands for; an error that has been through it already
// stays as it is. What OpenSSH folds into FAILURE becomes EIO: operations that can find out more ask one of the why functions instead.
func withErrno(op, path string, err error) error {
	if _, done := errors.AsType[*opError](err); err == nil || done {
		return err
	}
	switch {
	case errors.Is(err, sftpconn.ErrStale):
		return fail(op, path, syscall.ESTALE, err)
	case errors.Is(err, sftpconn.ErrUnreachable), errors.Is(err, sftpconn.ErrUncertain):
		return fail(op, path, syscall.EIO, err)
	case errors.Is(err, sftpconn.ErrUnsupported):
		return fail(op, path, syscall.EOPNOTSUPP, err)
	case failure(err) && refusal(err).Full:
		return fail(op, path, syscall.ENFILE, err)
	case refusal(err) != nil:
		return fail(op, path, codeErrno(op, refusal(err).Code), err)
	case errors.Is(err, context.Canceled):
		return fail(op, path, syscall.EINTR, err)
	case errors.Is(err, context.DeadlineExceeded):
		return fail(op, path, syscall.ETIMEDOUT, err)
	case errors.Is(err, io.EOF):
		return fail(op, path, syscall.EIO, io.ErrUnexpectedEOF)
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return fail(op, path, errno, err)
	}
	return fail(op, path, syscall.EIO, err)
}

// ownersOnly are the operations that only the owner of a file may do. The server's PERMISSION_DENIED is EPERM for these, for others EACCES.
var ownersOnly = map[string]bool{"setattr": true}

// codeErrno is the errno that a status code stands for in an operation; EIO where the code gives no reason.
func codeErrno(op string, code uint32) syscall.Errno {
	switch code {
	case session.StatusNoSuchFile:
		return syscall.ENOENT
	case session.StatusPermissionDenied:
		if ownersOnly[op] {
			return syscall.EPERM
		}
		return syscall.EACCES
	case session.StatusBadMessage:
		return syscall.EINVAL
	case session.StatusOpUnsupported:
		return syscall.EOPNOTSUPP
	}
	if en, ok := laterCodes[code]; ok {
		return en
	}
	return syscall.EIO
}

// refusal is the status with which the server refused a request; nil where err is of another kind, as of a lost line.
func refusal(err error) *session.StatusError {
	se, _ := errors.AsType[*session.StatusError](err)
	return se
}

// hasCode says whether the server refused a request with that status code.
func hasCode(err error, code uint32) bool {
	se := refusal(err)
	return se != nil && se.Code == code
}

// failure says whether the server refused a request without a reason: OpenSSH's FAILURE is EEXIST, ENOTEMPTY, EISDIR,
// EXDEV, ENOSPC, EROFS, EDQUOT and more.
func failure(err error) bool { return hasCode(err, session.StatusFailure) }

// vague is failure for operations whose path may lead to something of the wrong type: OpenSSH folds ENOTDIR into NO_SUCH_FILE.
func vague(err error) bool { return failure(err) || hasCode(err, session.StatusNoSuchFile) }

// whyNotMade explains a refusal to make a name: it exists, or the file system is full or read-only.
func (c *Cache) whyNotMade(ctx context.Context, op, path string, err error) error {
	if !failure(err) {
		return withErrno(op, path, err)
	}
	if _, e := c.conn.Lstat(ctx, path); e == nil {
		return fail(op, path, syscall.EEXIST, err)
	}
	return c.whyNotStored(ctx, op, path, err)
}

// whyNotCreated explains a refused open(2) with O_CREAT: that something is there is a reason only with O_EXCL (excl).
func (c *Cache) whyNotCreated(ctx context.Context, path string, excl bool, err error) error {
	if excl {
		return c.whyNotMade(ctx, "create", path, err)
	}
	return c.whyNotOpened(ctx, path, true, err)
}

// surelyHeld is how long a file may be, in bytes, on every file system in use (ext3; ext4 and XFS allow more). Where something longer is
// refused without a reason, and the disk is neither full nor read-only, its length is the reason.
const surelyHeld = 2 << 40

// whyNotStored explains a refusal to store something at a path: the file system is full or read-only.
func (c *Cache) whyNotStored(ctx context.Context, op, path string, err error) error {
	if !failure(err) || path == "" {
		return withErrno(op, path, err)
	}
	v, e := c.conn.Statvfs(ctx, parentPath(path))
	switch {
	case e != nil:
	case v.Flag&1 != 0: // ST_RDONLY
		return fail(op, path, syscall.EROFS, err)
	case v.Blocks > 0 && v.Bavail == 0, v.Files > 0 && v.Favail == 0 && v.Ffree == 0:
		return fail(op, path, syscall.ENOSPC, err)
	}
	return withErrno(op, path, err)
}

// whyNotRemoved explains a refused removal: by unlink (without wantDir) of a directory, or by rmdir of something else or of a directory that is
// not empty.
func (c *Cache) whyNotRemoved(ctx context.Context, op, path string, wantDir bool, err error) error {
	if !vague(err) {
		return withErrno(op, path, err)
	}
	a, e := c.conn.Lstat(ctx, path)
	if e != nil {
		return withErrno(op, path, e)
	}
	isDir := a.Mode&syscall.S_IFMT == syscall.S_IFDIR
	switch {
	case !wantDir && isDir:
		return fail(op, path, syscall.EISDIR, err)
	case wantDir && !isDir:
		return fail(op, path, syscall.ENOTDIR, err)
	case wantDir && c.hasNames(ctx, path, a.Mode):
		return fail(op, path, syscall.ENOTEMPTY, err)
	}
	err = c.whyNotStored(ctx, op, path, err)
	if wantDir && errors.Is(err, syscall.EIO) {
		return fail(op, path, syscall.EBUSY, err)
	}
	return err
}

var errEnough = errors.New("enough names seen")

// hasNames looks whether a directory of that mode has names in it. One that may not be listed, or shows nothing because it may not be searched,
// is taken to have some: were it empty the server would most likely have done what it was asked for.
func (c *Cache) hasNames(ctx context.Context, path string, mode uint32) bool {
	err := c.conn.List(ctx, path, func(names []sftpconn.Entry, _ bool) error {
		if len(names) > 0 {
			return errEnough
		}
		return nil
	})
	if err == nil {
		return !searchable(mode)
	}
	return errors.Is(err, errEnough) || errors.Is(withErrno("list", path, err), syscall.EACCES)
}

// whyNotLinked explains a refused link, as whyNotMade does, or by two file systems.
func (c *Cache) whyNotLinked(ctx context.Context, from, to string, err error) error {
	const op = "link"
	explained := c.whyNotMade(ctx, op, to, err)
	if failure(err) && errors.Is(explained, syscall.EIO) && c.mayCrossDevices(ctx, from, to) {
		return fail(op, to, syscall.EXDEV, err)
	}
	return explained
}

// mayCrossDevices says whether two names are, or may be, in directories on different file systems of the server.
func (c *Cache) mayCrossDevices(ctx context.Context, from, to string) bool {
	if parentPath(from) == parentPath(to) {
		return false
	}
	a, e1 := c.conn.Statvfs(ctx, parentPath(from))
	b, e2 := c.conn.Statvfs(ctx, parentPath(to))
	return e1 != nil || e2 != nil || a.Fsid != b.Fsid
}

// whyNotRenamed explains a refused rename, by what is at the two names and by their file systems.
func (c *Cache) whyNotRenamed(ctx context.Context, from, to string, noReplace bool, err error) error {
	const op = "rename"
	if !vague(err) {
		return withErrno(op, from, err)
	}
	src, e := c.conn.Lstat(ctx, from)
	if e != nil {
		return withErrno(op, from, e)
	}
	srcDir := src.Mode&syscall.S_IFMT == syscall.S_IFDIR
	dst, e := c.conn.Lstat(ctx, to)
	dstDir := e == nil && dst.Mode&syscall.S_IFMT == syscall.S_IFDIR
	if e == nil {
		switch {
		case noReplace:
			return fail(op, to, syscall.EEXIST, err)
		case dstDir && !srcDir:
			return fail(op, to, syscall.EISDIR, err)
		case srcDir && !dstDir:
			return fail(op, to, syscall.ENOTDIR, err)
		case dstDir && c.hasNames(ctx, to, dst.Mode):
			return fail(op, to, syscall.ENOTEMPTY, err)
		}
	}
	if failure(err) && c.mayCrossDevices(ctx, from, to) {
		return fail(op, to, syscall.EXDEV, err) // nothing else explains it
	}
	if !failure(err) {
		return withErrno(op, to, err) // the new name's directory is gone
	}
	err = c.whyNotStored(ctx, op, to, err)
	if dstDir && errors.Is(err, syscall.EIO) {
		return fail(op, to, syscall.EEXIST, err) // not every server replaces a directory, even if it is empty
	}
	return err
}

// whyNotOpened explains a refused open of what should be a regular file: for writing, it may be a directory, or the file system read-only.
func (c *Cache) whyNotOpened(ctx context.Context, path string, write bool, err error) error {
	const op = "open"
	if !failure(err) || !write {
		return withErrno(op, path, err)
	}
	a, e := c.conn.Lstat(ctx, path)
	if e == nil && a.Mode&syscall.S_IFMT == syscall.S_IFDIR {
		return fail(op, path, syscall.EISDIR, err)
	}
	return c.whyNotStored(ctx, op, path, err)
}
