package main

import (
	"context"
	"fmt"
	"time"

	"sshmount/sftpconn"
	"sshmount/sftpconn/transport"
)

// firstConnection makes the line for the first time. The dialer bounds the
// login and leaves out the time that the user takes to answer; what comes
// behind it, the first words of the SFTP server, is bounded here, by the same
// measure: a server that logs in and then says nothing is a user's to hear of.
func firstConnection(ctx context.Context, o sftpconn.Options, patience time.Duration, remote string) (*sftpconn.Conn, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := fmt.Errorf("%s lets us in, but its SFTP server says nothing within %v: is SFTP switched on there (Subsystem sftp in its sshd_config), and does no start-up file of the login shell wait for something?", remote, patience)
	dial := o.Dial
	o.Dial = func(dialing context.Context) (transport.Transport, error) {
		t, err := dial(dialing)
		if err == nil {
			late := time.AfterFunc(patience, func() { cancel(silent) })
			context.AfterFunc(ctx, func() { late.Stop() })
		}
		return t, err
	}
	c, err := sftpconn.New(ctx, o)
	if err != nil && context.Cause(ctx) == silent {
		return nil, silent
	}
	return c, err
}
