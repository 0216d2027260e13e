package main

import (
	"context"
	"fmt"
	"time"

	"sshmount/sftpconn"
	"sshmount/sftpconn/transport"
)

// firstConnection connects for the first time. The dialer bounds the time of the login,
// without the time that the user takes to answer. The wait for the greeting of the SFTP
// server after it is bounded here, by the same patience, so that the user hears of a
// server that accepts the login and then says nothing.
func firstConnection(ctx context.Context, o sftpconn.Options, patience time.Duration, remote string) (*sftpconn.Conn, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := fmt.Errorf("%s lets us in, but its SFTP server says nothing within %v: is SFTP switched on there (Subsystem sftp in its sshd_config), and does no start-up file of the login shell wait for something? Where it is slow to begin, -o ConnectTimeout=SECONDS gives it longer", remote, patience)
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
