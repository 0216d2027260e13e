package session

import (
	"errors"
	"fmt"
	"time"
)

// Status codes. SFTP v3 ends with OpUnsupported; the others are of the drafts
// for v4 to v6 (draft-13 section 9.1), and some servers send them in v3 too.
const (
	StatusOK                    = 0
	StatusEOF                   = 1
	StatusNoSuchFile            = 2
	StatusPermissionDenied      = 3
	StatusFailure               = 4
	StatusBadMessage            = 5
	StatusNoConnection          = 6
	StatusConnectionLost        = 7
	StatusOpUnsupported         = 8
	StatusInvalidHandle         = 9
	StatusNoSuchPath            = 10
	StatusFileAlreadyExists     = 11
	StatusWriteProtect          = 12
	StatusNoMedia               = 13
	StatusNoSpaceOnFilesystem   = 14
	StatusQuotaExceeded         = 15
	StatusUnknownPrincipal      = 16
	StatusLockConflict          = 17
	StatusDirNotEmpty           = 18
	StatusNotADirectory         = 19
	StatusInvalidFilename       = 20
	StatusLinkLoop              = 21
	StatusCannotDelete          = 22
	StatusInvalidParameter      = 23
	StatusFileIsADirectory      = 24
	StatusByteRangeLockConflict = 25
	StatusByteRangeLockRefused  = 26
	StatusDeletePending         = 27
	StatusFileCorrupt           = 28
	StatusOwnerInvalid          = 29
	StatusGroupInvalid          = 30
	StatusNoMatchingLock        = 31
)

// StatusError is a refusal by the server. Msg is the server's own text, cut to
// 1 KiB, and may be empty: not every server sends one.
type StatusError struct {
	Code uint32
	Msg  string
	// Full says that it refuses to open one more, without a reason, where about as many are open on the session as it allows.
	Full bool
}

func (e *StatusError) Error() string {
	if e.Msg == "" {
		return fmt.Sprintf("server refuses with status %d", e.Code)
	}
	return fmt.Sprintf("server says %q (status %d)", e.Msg, e.Code)
}

// LostError ends every call of a session that is over.
type LostError struct {
	Sent bool // the server may have seen the request
	// First says that this is the request that the server was working on, as far as can
	// be told: it was being answered, or was the oldest that was sent and not answered.
	First bool
	Age   time.Duration // since it was sent; 0 where it was not
	Err   error
}

func (e *LostError) Error() string { return "session lost: " + e.Err.Error() }
func (e *LostError) Unwrap() error { return e.Err }

// ProtocolError ends a session whose server has sent what SFTP does not allow.
type ProtocolError struct{ What string }

func (e *ProtocolError) Error() string { return "the server broke the SFTP protocol: " + e.What }

func broken(format string, args ...any) error {
	return &ProtocolError{What: fmt.Sprintf(format, args...)}
}

var (
	// ErrClosed is the reason of a session that Close ended.
	ErrClosed = errors.New("session was closed")

	// ErrNoProgress ends a READ that the server answered with no bytes although
	// it did not say that the file ends there: never an end of file.
	ErrNoProgress = errors.New("server answered a READ with no bytes and no end of file")

	// ErrAbandoned ends a call that was given up before it was sent.
	ErrAbandoned = errors.New("request was given up before it was sent")

	// ErrBadSize ends a call whose answer names a size that no file can have (2^63 or more).
	ErrBadSize = errors.New("server names a file size of 2^63 bytes or more")
)
