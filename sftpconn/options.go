package sftpconn

import (
	"context"
	"log/slog"
	"time"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/transport"
)

// What callers need of the layer below, under this package's name.
type (
	Attr    = session.Attr
	Entry   = session.Entry
	StatVFS = session.StatVFS
)

// Options of a connection. The zero value of a field means its default.
type Options struct {
	Dial transport.Dialer
	// Elsewhere reports whether Dial would now go to another server than the one that refused last, and to one that has not refused its
	// last login. If so, a change of the network ends the pause after a refusal. It may take long. nil means never.
	Elsewhere func(context.Context) bool

	MaxConns    int // whole connections for bulk data, 1..16; default 1
	MaxChannels int // channels for bulk data of each connection, 1..; default 9, or 4 where the connection is shared

	// NoReconnect makes the first loss of the connection final: every request fails with ErrUnreachable from then on.
	NoReconnect bool
	// Trial makes a loss final that comes before Conn.Settle: the user who waits for a mount to be made wants to hear at once of what
	// goes wrong.
	Trial bool
	// ReconnectTimeout is how long requests wait for a connection; default 2 min; negative: for ever.
	ReconnectTimeout time.Duration

	// GreetTimeout bounds the opening of the first channel at a reconnect, behind the login; default 1 min. After each attempt that it has
	// ended it is doubled: the server may really need so long. It has to end some attempts, because a server program that hangs may not
	// hang the next time.
	GreetTimeout time.Duration

	// AliveInterval is the silence after which the other side is asked for a sign of life
	// while something is outstanding; default 5 s; negative: no silence ends a connection.
	AliveInterval time.Duration
	// AliveCountMax × AliveInterval is the silence that ends a connection; default 3. 1 counts as 2: one interval goes by until the other
	// side is asked, and one is for its answer.
	AliveCountMax int

	Logger *slog.Logger // default slog.Default()
}

// aliveMost bounds the silence that AliveInterval and AliveCountMax allow: practically for ever, and little enough to be multiplied by
// leastAlive and busyFactor.
const aliveMost = 10 * 365 * 24 * time.Hour

func (o *Options) fill() {
	if o.MaxConns <= 0 {
		o.MaxConns = 1
	}
	o.MaxConns = min(o.MaxConns, 16)
	if o.ReconnectTimeout == 0 {
		o.ReconnectTimeout = 2 * time.Minute
	}
	if o.GreetTimeout <= 0 {
		o.GreetTimeout = time.Minute
	}
	if o.AliveInterval == 0 {
		o.AliveInterval = 5 * time.Second
	}
	if o.AliveCountMax <= 0 {
		o.AliveCountMax = 3
	}
	if o.AliveInterval > 0 {
		o.AliveInterval = min(o.AliveInterval, aliveMost)
		o.AliveCountMax = min(o.AliveCountMax, int(aliveMost/o.AliveInterval))
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
}
