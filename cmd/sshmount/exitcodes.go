package main

import (
	"context"
	"errors"

	"sshmount/cmd/sshmount/cmdline"
	"sshmount/cmd/sshmount/mountpoint"
	"sshmount/sftpconn/sshdial"
	"sshmount/sftpconn/transport"
)

// The exit statuses. Scripts rely on them: a number never changes its meaning.
const (
	exitOK          = 0
	exitFailure     = 1  // none of the below
	exitUsage       = 2  // the command line is at fault
	exitMountPoint  = 10 // the mount point won't do
	exitConnect     = 11 // the server can't be reached, or has no SFTP
	exitLogin       = 12 // the server, or the check of its host key, refused, and trying again won't help
	exitRemoteDir   = 13 // the remote directory is missing or is none
	exitFuse        = 14 // this machine did not let us mount
	exitUnsaved     = 15 // something could not be saved; it is in a rescue file, or reported
	exitNotMounted  = 16 // no mount of sshmount is there
	exitBusy        = 17 // the mount is in use and was left
	exitInterrupted = 130
)

// The exit statuses that mount(8) knows of its helpers.
const (
	helperUsage   = 1
	helperFailure = 32
)

// A failure is an error with the exit status that tells its kind.
type failure struct {
	code int
	err  error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func failed(code int, err error) error {
	if err == nil {
		return nil
	}
	return &failure{code, err}
}

// exitCode is the status for an error.
func exitCode(err error) int {
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errInterrupted) || errors.Is(err, context.Canceled):
		return exitInterrupted
	}
	if f, ok := errors.AsType[*failure](err); ok {
		return f.code
	}
	if _, ok := errors.AsType[*cmdline.Error](err); ok {
		return exitUsage
	}
	if _, ok := errors.AsType[*mountpoint.Error](err); ok {
		return exitMountPoint
	}
	return exitFailure
}

// connectCode is the exit status for an error of connecting: it distinguishes a refused login, a server that can't be reached or has no
// SFTP, a fault in what the user has given, and a fault in ssh's configuration files.
func connectCode(err error) int {
	if f, ok := errors.AsType[*failure](err); ok {
		return f.code
	}
	if config, ok := errors.AsType[*sshdial.ConfigError](err); ok {
		if config.Given {
			return exitUsage
		}
		return exitFailure
	}
	if permanent, ok := errors.AsType[*transport.PermanentError](err); ok && !permanent.NoSFTP {
		return exitLogin
	}
	return exitConnect
}

// forHelper is the exit status that mount(8) expects of a helper in place of code.
func forHelper(code int) int {
	switch code {
	case exitOK:
		return exitOK
	case exitUsage:
		return helperUsage
	default:
		return helperFailure
	}
}
