// Package transport defines what package sftpconn needs of one authenticated
// connection to a server: channels that carry SFTP, a probe of whether the other
// side is alive, and a Close that never blocks.
//
// Package sshdial makes transports; package sftpconn uses them and makes new
// ones when one is lost.
package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// ErrNoMoreChannels is returned by OpenChannel where the server, or the kind of
// transport, grants no further channel (sshd's MaxSessions, a single pipe).
// The channels that are open stay good.
var ErrNoMoreChannels = errors.New("no further channel is granted")

// ErrNoProbe is returned by Probe where the transport has no request of its own
// to ask the other side (a pipe, a TCP connection without SSH).
var ErrNoProbe = errors.New("transport has no probe of its own")

// A PermanentError is a refusal that trying again soon won't change: a login
// refused, a changed host key, a wrong configuration.
type PermanentError struct {
	Err    error
	Login  bool // the server has refused a login: further ones that fail may count against the user
	NoSFTP bool // the login has succeeded, but the server has no SFTP
}

func (e *PermanentError) Error() string { return e.Err.Error() }
func (e *PermanentError) Unwrap() error { return e.Err }

// NoSFTP makes a PermanentError for a server that has accepted the login, but has no SFTP.
func NoSFTP(format string, args ...any) error {
	return &PermanentError{Err: fmt.Errorf(format, args...), NoSFTP: true}
}

// Transport is one authenticated connection to the server.
// All methods may be called from several goroutines.
type Transport interface {
	// OpenChannel opens one more channel with the SFTP server at its far end.
	OpenChannel(ctx context.Context) (Channel, error)

	// Probe asks the other side for any answer (keepalive@openssh.com).
	// It blocks until the answer is there or ctx is done.
	Probe(ctx context.Context) error

	// LastReceived is when the last byte came in, on any channel.
	LastReceived() time.Time

	// Close tears the connection down from the bottom and never blocks on the peer.
	Close() error

	// Done is closed when the connection is over; Err then says why.
	Done() <-chan struct{}
	Err() error

	Info() Info
}

// Reserver is a Transport on which the first of the round trips that OpenChannel takes can be made in advance.
type Reserver interface {
	// Reserve begins to open n channels, with no program at their far end yet, less those that are reserved
	// already. The next calls of OpenChannel take them; those that none has taken after a while are given back. It does not wait.
	Reserve(n int)
}

// Sender is a Transport that knows how many of the bytes that it has sent have arrived.
type Sender interface {
	// Arrived is how many bytes the next host has acknowledged, and how many more are on their way to it. Where nothing is known both are 0.
	Arrived() (bytes, more uint64)
}

// Leaver is a Transport that can end in such a way that the server does not log a lost line.
type Leaver interface {
	// Leave prepares such an end. It is called before Close, when all requests are answered and no other will be sent. It may wait for a
	// moment.
	Leave()
}

// Channel is the byte stream of one SFTP session. Write is called by one
// goroutine at a time, and Read by one goroutine at a time.
type Channel interface {
	io.ReadWriteCloser

	// Remarks is what the server has written on standard error of this channel
	// so far (4 KiB of it at most), for messages to the user; "" for nothing.
	Remarks() string
}

// Info describes a transport to the user (`sshmount status`).
type Info struct {
	Client     string // "native", "ssh", "directport", "passive", "vsock"
	Remote     string // address and port, or the command line of the external ssh
	User       string
	AuthMethod string // "publickey", "password", …; "" where not known
	HostKey    string // type and SHA256 fingerprint; "" where not known
	Cipher     string // "" where not known
	Relayed    bool   // the line leads through another host or program (ProxyJump, ProxyCommand, a ControlMaster)
	Shared     bool   // other programs of the user use the connection, too (a ControlMaster)
}

type furtherKey struct{}

// Further makes a context for a login beside a good connection. Where that is refused (a limit on logins, a one-time code), what
// worked for the first login is kept all the same.
func Further(ctx context.Context) context.Context { return context.WithValue(ctx, furtherKey{}, true) }

// IsFurther says whether ctx was made by Further.
func IsFurther(ctx context.Context) bool { return ctx.Value(furtherKey{}) != nil }

// Dialer logs in. It is called again for each reconnect.
type Dialer func(ctx context.Context) (Transport, error)
