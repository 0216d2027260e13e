package sshdial

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// stepTimeout is the least time that the server has for each answer during
// authentication. It may look names up, and delay after a wrong password, for longer
// than a ConnectTimeout that was chosen for the network.
const stepTimeout = defaultConnectTimeout

// methodsInOrder are the methods of logging in, as ssh prefers them.
const methodsInOrder = "gssapi-with-mic,hostbased,publickey,keyboard-interactive,password"

// login is the authentication on one connection. Its methods run on the one
// goroutine of the SSH handshake.
//
// The SSH library calls choose before each attempt, and then the method that it has
// returned. It does not say how an attempt has ended, but what the server accepts next,
// and which methods have succeeded: a refusal is seen at the next call.
type login struct {
	cfg      *hostConfig
	ask      *asker
	patience *patience
	step     time.Duration
	kept     *secrets
	hostKey  *hostKeyCheck
	line     *gatherConn

	// Where it ends.
	fatal    error  // the user has broken off the login
	ssh      bool   // the system's ssh is installed: a login that the native client can't do may be left to it
	handOver string // why the login is handed over to the system's ssh before the user is asked; "" where it is not
	refused  bool   // no method is left

	// Keys. They are loaded when the server first accepts some.
	keys       *keyring
	agent      net.Conn // nil where there is none
	loaded     bool
	identities []identity // those that are still to be offered
	lastKey    string     // the public key offered last

	// Passwords, and the answers of keyboard-interactive. Those that are kept, from an earlier login or given beforehand, are tried first,
	// and once.
	passwordGiven           bool              // the password was given beforehand: it is tried once with each method, and no other is asked for
	passwordTries, kbdTries int               // passwords that the user has typed; attempts of keyboard-interactive, of either kind
	passwordSent            bool              // the kept password was tried, by the method of passwords
	givenInKbd              bool              // and as an answer of keyboard-interactive
	keptSent                bool              // the present attempt has sent a kept password or answer
	keptRefused             bool              // an attempt that has sent one was refused
	typed                   []byte            // the password that was sent last
	answers                 map[string][]byte // of the last attempt of keyboard-interactive, by question

	// What was done, for choose, and for the message where the login is refused.
	last     string   // the method used last
	accepted []string // methods that the server accepts, as it has said last
	partial  []string // methods that have succeeded, but are not enough
	offered  []string // keys that were offered
	said     string   // what the server has last said in words after an attempt; "" for nothing
	tried    []string // methods other than publickey that were tried
	notes    []string // what went wrong on our side
}

func (l *login) close() {
	if l.agent != nil {
		l.agent.Close()
	}
	wipe(l.typed)
}

// choose is the ssh.ClientAuthCallback: it picks the next method, the first of those that the user prefers, and the server accepts, with which
// anything is left to try.
func (l *login) choose(ctx *ssh.ClientAuthContext) (ssh.AuthMethod, error) {
	l.patience.restart(l.step)
	if l.line.ended.Load() {
		// The library asks for the next method also when the line broke during the last one, which is no refusal.
		return nil, errors.New("the connection ended during the login")
	}
	lastRefused := len(ctx.PartialSuccessMethods) == len(l.partial)
	l.keptRefused = l.keptRefused || l.keptSent && lastRefused
	l.keptSent = false
	l.accepted, l.partial = ctx.AllowedMethods, ctx.PartialSuccessMethods
	if err := l.over(); err != nil {
		return nil, err
	}
	for _, name := range l.preferred() {
		if !slices.Contains(ctx.AllowedMethods, name) {
			continue
		}
		m := l.next(name)
		if err := l.over(); err != nil {
			return nil, err
		}
		if m != nil {
			l.last = name
			return m, nil
		}
	}
	l.refused = true
	return nil, errors.New("no way to log in is left")
}

// preferred is the list of the methods that the configuration has tried, in their order.
func (l *login) preferred() []string {
	return strings.Split(cmp.Or(l.cfg.get("preferredauthentications"), methodsInOrder), ",")
}

// next is the next attempt with the method of that name; nil where none is left.
func (l *login) next(name string) ssh.AuthMethod {
	switch name {
	case "publickey":
		return l.publicKey()
	case "keyboard-interactive":
		return l.keyboardInteractive()
	case "password":
		return l.password()
	}
	return nil
}

// publicKey offers the next key; nil where none is left.
func (l *login) publicKey() ssh.AuthMethod {
	if !l.cfg.yes("pubkeyauthentication", true) {
		return nil
	}
	if !l.loaded {
		l.loaded = true
		fromAgent, conn, err := agentKeys(l.ask.ctx, l.cfg.agentSocket())
		if err != nil {
			l.notes = append(l.notes, err.Error())
		}
		l.agent = conn
		l.identities = l.keys.identities(fromAgent)
		putFirst(l.identities, l.kept.getWorked())
		l.notes = append(l.notes, l.keys.notes...)
	}
	for len(l.identities) > 0 {
		id := l.identities[0]
		l.identities = l.identities[1:]
		if id.signer == nil {
			s, err := id.open()
			if err != nil {
				l.failed(err)
				continue
			}
			if id.signer = l.keys.restrict(id.name, s); id.signer == nil {
				continue
			}
		}
		l.offered = append(l.offered, id.name)
		l.lastKey = string(id.signer.PublicKey().Marshal())
		return ssh.PublicKeys(&watchedSigner{inner: id.signer.(ssh.MultiAlgorithmSigner), login: l, name: id.name})
	}
	return nil
}

// failed notes why something on our side didn't work.
func (l *login) failed(err error) {
	if l.ask.ctx.Err() != nil || errors.Is(err, errInterrupted) || errors.Is(err, errNoAnswer) {
		l.fatal = err
	}
	l.notes = append(l.notes, err.Error())
}

// watchedSigner notes why a signature has failed. It stops the login's clock meanwhile,
// because the agent may be asking its user.
type watchedSigner struct {
	inner ssh.MultiAlgorithmSigner
	login *login
	name  string
}

var _ ssh.MultiAlgorithmSigner = (*watchedSigner)(nil)

func (w *watchedSigner) PublicKey() ssh.PublicKey { return w.inner.PublicKey() }
func (w *watchedSigner) Algorithms() []string     { return w.inner.Algorithms() }
func (w *watchedSigner) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	return w.SignWithAlgorithm(rand, data, "")
}

func (w *watchedSigner) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	w.login.patience.pause()
	defer w.login.patience.resume()
	s, err := w.inner.SignWithAlgorithm(rand, data, algorithm)
	if err != nil {
		if ended := w.login.ask.ctx; ended.Err() != nil {
			err = context.Cause(ended) // for which the agent was left
		}
		if errors.Is(err, errSecurityKey) && w.login.ssh {
			w.login.handOver = w.name + " is on a security key"
		}
		w.login.failed(fmt.Errorf("the server would take %s, but it cannot sign: %w", w.name, plain(err)))
	}
	return s, err
}

// succeeded keeps what has worked for further logins.
func (l *login) succeeded() {
	right := append(slices.Clone(l.partial), l.last)
	var password []byte
	if slices.Contains(right, "password") {
		password = l.typed
	}
	var answers map[string][]byte
	if slices.Contains(right, "keyboard-interactive") {
		answers = l.answers
	}
	l.kept.keep(password, answers, l.keys.opened)
	if l.last == "publickey" && len(l.partial) == 0 {
		l.kept.setWorked(l.lastKey)
	}
}
