package sftpconn

import (
	"errors"
	"fmt"

	"sshmount/sftpconn/session"
)

var (
	// ErrUnreachable is returned when there was no connection for longer than
	// ReconnectTimeout, or there is none and none is wanted (NoReconnect).
	ErrUnreachable = errors.New("server cannot be reached")

	// ErrStale is returned when the file behind a handle could not be found again
	// after a reconnect, or is another one, or has changed.
	ErrStale = errors.New("file changed or went away while the connection was lost")

	// ErrLost is passed to OpenRequest.Lost: bytes that the server had acknowledged were gone after a reconnect, or may be gone because
	// the server has refused to close the file, or the line was lost before it had closed it.
	ErrLost = errors.New("the server has lost bytes that it had acknowledged")

	// ErrUnsupported is returned when the server lacks what the request needs.
	ErrUnsupported = errors.New("not supported by the server")

	// ErrUncertain is returned when the line broke between request and answer, and
	// looking afterwards can't tell whether it was done.
	ErrUncertain = errors.New("the connection was lost before the answer, and what happened cannot be told")

	// ErrMayBeDone is added to a refusal where the same request was sent before, and the line broke before the answer: the server may
	// have done it then, and refuse it now for that reason.
	ErrMayBeDone = errors.New("what was asked for before the connection was lost may have been done")

	// ErrEndsSession is returned for a request at which sessions ended again and again, because the server crashed or its answer could not
	// be read. For a guess (Guess) once is enough.
	ErrEndsSession = errors.New("the connection is lost each time the server is asked this")

	// ErrClosed is returned by a Conn or File that was closed.
	ErrClosed = errors.New("connection was closed by this side")
)

// isLost reports whether err is the end of a session and not an answer.
func isLost(err error) bool {
	_, ok := errors.AsType[*session.LostError](err)
	return ok
}

// status is the server's code in err, or StatusOK where the server refused nothing.
func status(err error) uint32 {
	if s, ok := errors.AsType[*session.StatusError](err); ok {
		return s.Code
	}
	return session.StatusOK
}

// againError is a refusal that wraps ErrMayBeDone, too.
type againError struct{ error }

func (e *againError) Unwrap() []error { return []error{e.error, ErrMayBeDone} }

// mayBeDone returns err, with ErrMayBeDone if it is a refusal and again says that the server may have seen the request before.
func mayBeDone(err error, again bool) error {
	if again && refused(err) {
		return &againError{err}
	}
	return err
}

// SetRefusedError is the refusal of attributes that were to be set after a write. The bytes are written.
type SetRefusedError struct{ error }

// Unwrap gives the refusal.
func (e *SetRefusedError) Unwrap() error { return e.error }

// isAbsent says whether the server answered that a name isn't there.
func isAbsent(err error) bool {
	code := status(err)
	return code == session.StatusNoSuchFile || code == session.StatusNoSuchPath
}

// refused says whether the server answered, and the answer was no.
func refused(err error) bool { return status(err) != session.StatusOK }

// wrap adds to err what was tried on path; path is "" for a file that has no name any more. nil stays nil.
func wrap(err error, op, path string) error {
	switch {
	case err == nil:
		return nil
	case path == "":
		return fmt.Errorf("%s, of a file that has no name any more: %w", op, err)
	}
	return fmt.Errorf("%s %q: %w", op, path, err)
}

// wrap2 is wrap for an operation on two names.
func wrap2(err error, op, from, to string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %q to %q: %w", op, from, to, err)
}
