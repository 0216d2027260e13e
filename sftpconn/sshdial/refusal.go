package sshdial

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// attempts says what was tried.
func (l *login) attempts() string {
	var parts []string
	if len(l.offered) > 0 {
		parts = append(parts, "publickey ("+strings.Join(l.offered, ", ")+")")
	}
	counts := map[string]int{}
	for _, m := range l.tried {
		counts[m]++
	}
	for _, m := range []string{"keyboard-interactive", "password"} {
		switch n := counts[m]; {
		case n == 1:
			parts = append(parts, m)
		case n > 1:
			parts = append(parts, fmt.Sprintf("%s (%d times)", m, n))
		}
	}
	if len(parts) == 0 {
		return "nothing, for want of a key or password to try"
	}
	return strings.Join(parts, ", ")
}

// refusal is the error of a login that failed.
func (l *login) refusal() error {
	msg := fmt.Sprintf("login as %s on %s refused: tried %s; the server accepts %s%s",
		l.cfg.user(), l.cfg.name(), l.attempts(), listOf(l.accepted), l.words())
	if len(l.notes) > 0 {
		msg += "; " + strings.Join(slices.Compact(l.notes), "; ")
	}
	switch {
	case l.kept.wasRefused() && !l.ask.possible() && (!l.keptRefused || l.ask.q.left()):
		msg += "; " + l.kept.whyRefused()
	case !l.mayType():
		msg += "; no password is given to a server whose host key has changed"
	case slices.Contains(l.accepted, "password") || slices.Contains(l.accepted, "keyboard-interactive"):
		switch {
		case len(l.tried) == 0 && !l.passwordsAllowed():
			msg += "; ssh's configuration has no password tried (PasswordAuthentication, KbdInteractiveAuthentication, PreferredAuthentications): change that, or name a key that the server knows with IdentityFile"
		case len(l.tried) > 0 || l.ask.possible():
			msg += "; check user name and password"
		case l.ask.batch:
			msg += "; with BatchMode no password is asked for: name a key that the server knows with IdentityFile"
		case l.ask.q.prompt != nil:
			msg += "; a password cannot be asked for any more: mount again to give it"
		default:
			msg += "; a password cannot be asked for without a terminal: give it with password_stdin, or name a key that the server knows with IdentityFile"
		}
	case len(l.offered) == 0:
		msg += "; no key was there to be offered: unlock or start the agent that holds it, or name its file with IdentityFile"
	default:
		msg += "; check the user name, and that one of these keys is in the server's authorized_keys"
	}
	if len(l.offered) == 0 && len(l.tried) == 0 && !l.kept.wasRefused() {
		// The agent may be locked, or away. The server has judged nothing that could count against the user.
		return permanent("%s", msg)
	}
	return refusedLogin("%s", msg)
}

// passwordsAllowed reports that the configuration leaves a method that takes a password, of those that the server accepts.
func (l *login) passwordsAllowed() bool {
	allowed := func(method, option string) bool {
		return slices.Contains(l.accepted, method) && slices.Contains(l.preferred(), method) && l.cfg.yes(option, true)
	}
	return allowed("password", "passwordauthentication") || allowed("keyboard-interactive", "kbdinteractiveauthentication")
}

// What the user is told where what was kept is wrong by now: the password, or answers one of which was to something else, as to the
// question for a one-time code.
const (
	refusedKept = "the kept password was refused and is not sent again, as that could lock the account: mount again to give the one that is right now"
	refusedCode = "the kept answers were refused (a one-time code is good only once) and are not sent again, as that could lock the account: " +
		"mount again to give those that are right now"
)

// lacks names a method that the server accepts and the configuration allows, but the
// native client lacks; "" where there is none.
func (l *login) lacks() string {
	if slices.Contains(l.accepted, "gssapi-with-mic") && l.cfg.yes("gssapiauthentication", false) && ticketOrNotKnown(l.ask.ctx) {
		return gssapiPossible
	}
	if slices.Contains(l.accepted, "hostbased") && l.cfg.yes("hostbasedauthentication", false) {
		return "the server accepts hostbased authentication"
	}
	if slices.Contains(l.accepted, "publickey") && l.keys != nil {
		return l.keys.lacking
	}
	return ""
}

const gssapiPossible = "the server accepts GSSAPI"

// shouldHandOver reports, before the user would be asked for a password, whether the system's ssh has a method that asks nothing and that
// the server accepts. If that fails, ssh itself asks for the password.
func (l *login) shouldHandOver() bool {
	switch {
	case !l.ssh:
	case slices.Contains(l.accepted, "hostbased") && l.cfg.yes("hostbasedauthentication", false):
		l.handOver = "the server accepts hostbased authentication"
	case slices.Contains(l.accepted, "gssapi-with-mic") && l.cfg.yes("gssapiauthentication", false) && haveTicket(l.ask.ctx):
		l.handOver = gssapiPossible
	}
	return l.handOver != ""
}

// over returns why no further method is to be tried: the user has broken off, or the login is left to the system's ssh; nil where neither is
// so.
func (l *login) over() error {
	if l.fatal == nil && l.handOver != "" {
		l.refused = true
		return errors.New("the login is left to the system's ssh: " + l.handOver)
	}
	return l.fatal
}

// ticketPatience is how long klist may take; it looks at a file or asks a program of this machine.
const ticketPatience = 5 * time.Second

// haveTicket says whether there is a Kerberos ticket. Debian's ssh has GSSAPI on for everybody, so the option alone means nothing.
func haveTicket(ctx context.Context) bool { return klist(ctx) == nil }

// ticketOrNotKnown is for a login that has failed anyway: where there is no klist, ssh may still find a ticket.
func ticketOrNotKnown(ctx context.Context) bool {
	err := klist(ctx)
	return err == nil || errors.Is(err, exec.ErrNotFound)
}

func klist(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, ticketPatience)
	defer cancel()
	return exec.CommandContext(ctx, "klist", "-s").Run()
}
