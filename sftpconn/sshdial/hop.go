package sshdial

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"sshmount/sftpconn/transport"
)

// A hop is a server on the way, or the one at its end.
type hop struct {
	cfg           *hostConfig
	kept          *secrets // passwords and the like that the server has accepted, or that were given beforehand, for further logins
	unsaved       *unsavedKey
	passwordGiven bool // the password was given beforehand, so that no other is asked for
	mustKnow      bool // as of hostKeyCheck
	q             *questions
	log           *slog.Logger
	timeout       time.Duration // for connecting and for each silence
	delay         bool          // as Options.Delay
	ssh           bool          // the system's ssh is installed
}

// proxyPatience is how long a ProxyCommand may take until the server answers, if there
// is a user whom the command could be asking something.
const proxyPatience = 2 * time.Minute

// errLacking means that the native client can't do what this login needs, and the
// system's ssh perhaps can.
type errLacking struct {
	why        string
	err        error // what to report where there is no ssh
	algorithms bool  // the choice of algorithms is the reason, and not the login
}

func (e *errLacking) Error() string { return e.err.Error() }
func (e *errLacking) Unwrap() error { return e.err }

// dial connects, through under where that isn't nil, and logs in.
func (h *hop) dial(ctx context.Context, under *sshTransport) (*sshTransport, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p := newPatience(h.timeout, func() { cancel(errTimeUp) })
	defer p.stop()

	conn, err := h.connect(ctx, under, p)
	if err != nil {
		if errors.Is(context.Cause(ctx), errTimeUp) {
			err = &timeoutError{host: h.cfg.name(), limit: h.timeout}
		}
		return nil, err
	}
	g := newGatherConn(conn)
	_, throughProgram := conn.(*process)
	if throughProgram && h.q.open() {
		// The program may be asking its user for a password of its own.
		p.restart(max(h.timeout, proxyPatience))
		g.first = func() { p.restart(h.timeout) }
	}
	// From here on the end of ctx, by the caller or by the clock, ends the connection.
	release := context.AfterFunc(ctx, func() {
		g.Close()
		if under != nil {
			// A channel alone ends when the jump host says so, which it may never do.
			under.Close()
		}
	})
	t, err := h.login(ctx, g, p)
	if err != nil {
		release()
		g.Close()
		return nil, err
	}
	if !release() {
		t.Close()
		if err = context.Cause(ctx); errors.Is(err, errTimeUp) {
			err = &timeoutError{host: h.cfg.name(), limit: h.timeout}
		}
		return nil, err
	}
	t.under = under
	t.info.Relayed = under != nil || throughProgram
	return t, nil
}

// timeoutError says that the other side did not answer in time.
type timeoutError struct {
	host  string
	limit time.Duration
}

func (e *timeoutError) Error() string {
	return "no answer from " + e.host + " within " + e.limit.String() + ": is it switched on, and may it be reached from here?"
}
func (e *timeoutError) Unwrap() error { return errTimeUp }

// connect makes the stream on which SSH is spoken.
func (h *hop) connect(ctx context.Context, under *sshTransport, p *patience) (net.Conn, error) {
	host, port := h.cfg.hostName(), h.cfg.port()
	if under != nil {
		return under.dialThrough(ctx, h.cfg.name(), host, port)
	}
	if command := h.cfg.getUnlessNone("proxycommand"); command != "" {
		return startProxyCommand(h.cfg.expandTokens(command), !h.q.open())
	}
	// Each attempt has all of the time limit, and the login has it anew when one of them has succeeded.
	p.pause()
	conn, err := h.attempts(ctx, func(ctx context.Context) (net.Conn, error) {
		return dialTCP(ctx, h.cfg.name(), host, port, h.cfg.tcpOptions(h.delay))
	})
	p.restart(h.timeout)
	p.resume()
	return conn, err
}

// attemptInterval is the time between the attempts to connect that ConnectionAttempts asks for; ssh's own.
const attemptInterval = time.Second

// clientVersion is how the client identifies itself. It names OpenSSH because some servers, like asyncssh's, look for that word to know in
// which order the two arguments of SYMLINK come: in that of the draft, or in that of OpenSSH, which is sent here (session.Symlink).
const clientVersion = "SSH-2.0-sshmount_like_OpenSSH"

// attempts tries to connect as often as ConnectionAttempts says.
func (h *hop) attempts(ctx context.Context, connect func(context.Context) (net.Conn, error)) (net.Conn, error) {
	for left := h.cfg.number("connectionattempts", 1); ; left-- {
		attempt, cancel := context.WithTimeoutCause(ctx, h.timeout, errTimeUp)
		conn, err := connect(attempt)
		// The dialer heeds the deadline by itself, and may return before the context has ended.
		if end, _ := attempt.Deadline(); err != nil && ctx.Err() == nil && !time.Now().Before(end) {
			err = &timeoutError{host: h.cfg.name(), limit: h.timeout}
		}
		cancel()
		if err == nil || left <= 1 || ctx.Err() != nil || isPermanent(err) {
			return conn, err
		}
		h.log.Info("trying to connect again", "host", h.cfg.name(), "attempts left", left-1, "error", err)
		select {
		case <-time.After(attemptInterval):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// login speaks SSH on g until the user is logged in.
func (h *hop) login(ctx context.Context, g *gatherConn, p *patience) (*sshTransport, error) {
	known, err := loadKnownHosts(h.cfg, h.log)
	if err != nil {
		return nil, err
	}
	ask := &asker{ctx: ctx, q: h.q, batch: h.cfg.yes("batchmode", false), patience: p, log: h.log}
	check := &hostKeyCheck{cfg: h.cfg, known: known, mustKnow: h.mustKnow, ask: ask, unsaved: h.unsaved}
	l := &login{
		cfg: h.cfg, ask: ask, patience: p, step: max(h.timeout, stepTimeout), kept: h.kept, ssh: h.ssh, passwordGiven: h.passwordGiven, hostKey: check, line: g,
		keys: &keyring{cfg: h.cfg, ask: ask, kept: h.kept, opened: map[string]ssh.Signer{}},
	}
	defer l.close()
	algos := h.cfg.algorithms()
	config := &ssh.ClientConfig{
		Config:            ssh.Config{KeyExchanges: algos.kex, Ciphers: algos.ciphers, MACs: algos.macs, RekeyThreshold: h.cfg.rekeyBytes()},
		User:              h.cfg.user(),
		ClientVersion:     clientVersion,
		HostKeyCallback:   check.callback,
		HostKeyAlgorithms: known.order(h.unsaved.order(algos.hostKeys)),
		AuthCallback:      l.choose,
		BannerCallback: func(message string) error {
			l.hear(message)
			if ask.possible() {
				ask.notice(strings.TrimRight(message, "\r\n"))
			}
			return nil
		},
	}
	conn, channels, requests, err := ssh.NewClientConn(g, net.JoinHostPort(h.cfg.hostName(), h.cfg.port()), config)
	timeUp := p.stop()
	if err != nil {
		return nil, h.loginError(ctx, g, check, l, timeUp, err)
	}
	l.succeeded()
	if l.last == "" {
		l.last = "none" // the server asked for nothing
	}
	t := newSSHTransport(conn, channels, requests, g, h, check, l.last)
	t.said = l.said
	return t, nil
}

// loginError says in one line why there is no login.
func (h *hop) loginError(ctx context.Context, g *gatherConn, check *hostKeyCheck, l *login, timeUp bool, err error) error {
	check.mu.Lock()
	refusedKey, checked := check.err, check.accepted != nil
	check.mu.Unlock()
	tooMany := strings.Contains(strings.ToLower(err.Error()), "too many authentication failures")
	negotiation, disagree := errors.AsType[*ssh.AlgorithmNegotiationError](err)
	switch {
	case refusedKey != nil:
		return refusedKey
	case l.fatal != nil:
		return permanent("login as %s on %s broken off: %w", h.cfg.user(), h.cfg.name(), l.fatal)
	case ctx.Err() != nil && !timeUp:
		return context.Cause(ctx)
	case disagree:
		err = handshakeError(h.cfg.name(), g, h.timeout, timeUp, err)
		return &errLacking{why: "the server has no " + negotiation.What + " that the native client knows", err: err, algorithms: true}
	case !checked:
		return handshakeError(h.cfg.name(), g, h.timeout, timeUp, err)
	case notYet(l.said) && (l.refused || tooMany):
		return permanent("login as %s on %s refused for now: tried %s%s", h.cfg.user(), h.cfg.name(), l.attempts(), l.words())
	case l.refused:
		if l.keptRefused && !transport.IsFurther(ctx) {
			h.kept.refuse()
		}
		if why := cmp.Or(l.handOver, l.lacks()); why != "" {
			return &errLacking{why: why, err: l.refusal()}
		}
		return l.refusal()
	case tooMany:
		if (l.keptRefused || l.keptSent) && !transport.IsFurther(ctx) {
			h.kept.refuse()
		}
		hint := ""
		if len(l.offered) > 1 {
			hint = "; name the right key with IdentityFile and set IdentitiesOnly=yes"
		}
		if h.kept.wasRefused() {
			hint += "; " + h.kept.whyRefused()
		}
		return refusedLogin("login as %s on %s refused: too many attempts; tried %s%s%s", h.cfg.user(), h.cfg.name(), l.attempts(), l.words(), hint)
	case timeUp:
		return &timeoutError{host: h.cfg.name() + " during the login", limit: l.step}
	}
	err = lost(h.cfg.name()+" during the login", err)
	if l.said != "" {
		err = fmt.Errorf("%w%s", err, l.words())
	}
	return err
}
