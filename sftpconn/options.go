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
	// Elsewhere says whether Dial would go now to another server than the one that has refused last, and to one whose last login was not
	// refused. If so, a change of the network leads to an attempt before the pause after a refusal is over. It may take long;
	// nil means never.
	Elsewhere func(context.Context) bool

	MaxConns    int // whole connections for bulk data, 1..16; default 1
	MaxChannels int // channels for bulk data of each connection, 1..; default 9, or 4 where the connection is shared

	// NoReconnect makes the first loss final: every request fails with ErrUnreachable from then on.
	NoReconnect bool
	// Trial makes a loss before Conn.Settle as final as with NoReconnect: what goes wrong while somebody waits
	// for a mount to be made is his to hear of, at once.
	Trial bool
	// ReconnectTimeout is how long requests wait for a connection; default 2 min; negative: for ever.
	ReconnectTimeout time.Duration

	// GreetTimeout bounds the wait for the first session of a connection in the place of a lost one, behind its login; default 1 min. After
	// each attempt which it has ended it is twice as long: the server may need so long, or its program hang, and the next one not.
	GreetTimeout time.Duration

	// AliveInterval is the silence after which the other side is asked for a sign of
	// life while something is outstanding; default 5 s; negative: silence proves nothing.
	AliveInterval time.Duration
	// AliveCountMax × AliveInterval of silence is the end of a connection; default 3. 1 is as good as 2: an interval goes by
	// until the other side is asked, and one is for its answer.
	AliveCountMax int

	Logger *slog.Logger // default slog.Default()
}

// aliveMost is the longest silence that AliveInterval and AliveCountMax can ask to be borne: for ever, as far as anybody can tell, and
// little enough to be multiplied by leastAlive and busyFactor.
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
