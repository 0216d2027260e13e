package sshdial

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"golang.org/x/crypto/ssh"

	"sshmount/sftpconn/transport"
)

// errNoSubsystem is returned by OpenChannel where the server is logged in to, but
// has no SFTP server under the name or path that was asked for.
var errNoSubsystem = errors.New("the server offers no such SFTP server")

// errTimeUp is the cause with which a login's context ends when patience is up.
var errTimeUp = errors.New("no answer in time")

// errInterrupted means that the user broke a question off.
var errInterrupted = errors.New("interrupted")

// errNoAnswer means that the user ended the input in place of an answer, or that the terminal is gone.
var errNoAnswer = errors.New("no answer was given (end of input, as with Ctrl-D)")

// errBatch means that a question would have to be asked and the configuration forbids that.
var errBatch = errors.New("with BatchMode nothing is asked")

// errDetached means that a question would have to be asked and nobody is there.
var errDetached = errors.New("there is nobody to ask (no terminal, or already in the background)")

func permanent(format string, args ...any) error {
	return &transport.PermanentError{Err: fmt.Errorf(format, args...)}
}

func isPermanent(err error) bool {
	_, ok := errors.AsType[*transport.PermanentError](err)
	return ok
}

// A ConfigError says that a host's configuration can't be used; no login was tried.
type ConfigError struct {
	Err   error
	Given bool // by the address or an option; else it stands in a file
}

func (e *ConfigError) Error() string { return e.Err.Error() }
func (e *ConfigError) Unwrap() error { return e.Err }

// badConfig is permanent for a ConfigError.
func badConfig(given bool, format string, args ...any) error {
	return &transport.PermanentError{Err: &ConfigError{Err: fmt.Errorf(format, args...), Given: given}}
}

// refusedLogin is permanent for a login that the server has judged.
func refusedLogin(format string, args ...any) error {
	return &transport.PermanentError{Err: fmt.Errorf(format, args...), Login: true}
}

// handshakeError says why the key exchange with a server failed. The conn knows
// what the server said first.
func handshakeError(name string, conn *gatherConn, limit time.Duration, timeUp bool, err error) error {
	line, isSSH := conn.greeting()
	negotiation, disagree := errors.AsType[*ssh.AlgorithmNegotiationError](err)
	switch {
	case disagree:
		return permanent("%s and this client have no %s in common: the server offers %s; offered to it were %s%w",
			name, negotiation.What, listOf(negotiation.RequestedAlgorithms), listOf(negotiation.SupportedAlgorithms), hidden{err})
	case !isSSH && line == "" && timeUp && conn.program() != nil:
		// How it ended tells nothing: we have ended it.
		return fmt.Errorf("nothing came from %s by way of the %s in time%s (%w)", name, conn.program().name, conn.program().complaint(), errTimeUp)
	case !isSSH && line == "" && conn.failure() != "":
		return fmt.Errorf("no connection to %s: %s", name, conn.failure())
	case isSSH && oldProtocol(line):
		// Not for good, as with what is no SSH server.
		return fmt.Errorf("%s speaks version 1 of the SSH protocol alone (it said %q), which is broken and given up everywhere; version 2 is needed", name, clip(line, 120))
	case isSSH && timeUp:
		return fmt.Errorf("%s began to talk SSH (%q) and then said nothing for %v: %w", name, line, limit, errTimeUp)
	case isSSH:
		return fmt.Errorf("the connection to %s ended while setting up encryption: %w", name, plain(err))
	case busy(line):
		return fmt.Errorf("%s takes no further logins at the moment: it said %q (MaxStartups, or a penalty for failed logins)", name, clip(line, 120))
	case line != "":
		// Not for good: a captive portal answers in the place of every server
		// until somebody has clicked on something.
		return fmt.Errorf("what answers at %s is no SSH server: it said %q; check host and port", name, clip(line, 120))
	case timeUp:
		return fmt.Errorf("%s took the connection and then said nothing for %v: is it an SSH server? (%w)", name, limit, errTimeUp)
	}
	return fmt.Errorf("%s closed the connection before it said anything (too many logins at once, a firewall, or no SSH server): %w", name, plain(err))
}

// oldProtocol reports that a greeting is that of a server without version 2 of the protocol: 1.99 means both.
func oldProtocol(greeting string) bool {
	return strings.HasPrefix(greeting, "SSH-1.") && !strings.HasPrefix(greeting, "SSH-1.99-")
}

// busy reports that a line which came in the place of a greeting is how sshd
// turns a connection away that it might take in a moment.
func busy(line string) bool {
	return strings.Contains(line, "MaxStartups") || strings.Contains(line, "Not allowed at this time")
}

// hidden wraps an error for errors.As without adding to the message.
type hidden struct{ error }

func (hidden) Error() string   { return "" }
func (h hidden) Unwrap() error { return h.error }

// plain takes the library's prefixes off an error's message.
func plain(err error) error {
	return prefixless{err}
}

type prefixless struct{ error }

func (p prefixless) Error() string {
	s := p.error.Error()
	for _, prefix := range []string{"ssh: handshake failed: ", "ssh: "} {
		s = strings.TrimPrefix(s, prefix)
	}
	return s
}
func (p prefixless) Unwrap() error { return p.error }

// listMost is how long a list in a message may be, in bytes: longer than that of any real server.
const listMost = 2000

// listOf writes a list for a message.
func listOf(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return clip(strings.Join(names, ", "), listMost)
}

// clip shortens s to n bytes, and makes it one line of printable characters.
func clip(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	if len(s) > n {
		s = s[:n] + "…"
	}
	return strings.TrimSpace(s)
}
