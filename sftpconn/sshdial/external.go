package sshdial

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"sshmount/sftpconn/transport"
)

// hello is the first packet of every SFTP session of version 3. An SFTP server says
// nothing before it. So sending it, and waiting for an answer, is the only way to
// see that any external ssh has logged in.
var hello = []byte{0, 0, 0, 5, 1, 0, 0, 0, 3}

// needsSSH says what the configuration asks for that the native client lacks
// and that matters; "" for nothing.
func (c *hostConfig) needsSSH() string {
	switch {
	case c.yes("compression", false):
		return "Compression is on"
	case c.getUnlessNone("knownhostscommand") != "":
		return "KnownHostsCommand is set"
	case c.getUnlessNone("pkcs11provider") != "":
		return "PKCS11Provider is set"
	case c.getUnlessNone("revokedhostkeys") != "":
		return "RevokedHostKeys is set"
	case c.yes("proxyusefdpass", false):
		return "ProxyUseFdpass is on"
	case c.yes("verifyhostkeydns", false) || strings.EqualFold(c.get("verifyhostkeydns"), "ask"):
		return "VerifyHostKeyDNS is on"
	case c.yes("permitlocalcommand", false) && c.getUnlessNone("localcommand") != "":
		return "LocalCommand is set"
	}
	if a := c.algorithms(); a.missing != "" {
		return "only this is allowed: " + a.missing
	}
	return ""
}

// tryExternal logs in with the system's ssh, because the native client lacks something. If that succeeds, ssh is used as long as the
// configuration gives this route; if it fails, the next login begins with the native client again.
func (d *Dialer) tryExternal(ctx context.Context, r *route, why string) (transport.Transport, error) {
	d.log.Info("trying the system's ssh", "host", r.target.name(), "why", why)
	argv := d.externalCommand(r, []string{d.ssh})
	t, err := d.dialExternal(ctx, r, argv)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	r.external = argv
	d.mu.Unlock()
	return t, nil
}

func (d *Dialer) nativeWorked(r *route) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return r.past.native
}

func (d *Dialer) externalOf(r *route) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(r.external)
}

// shellWishes are options that users configure for their own logins to a host, and that would prevent SFTP: another command (tmux), no
// input. They are overridden only where they are set, because an older ssh does not know all of them.
var shellWishes = []struct {
	keyword  string
	harmless []string // the first is put in place of anything else
}{
	{"RemoteCommand", []string{"none"}},
	{"StdinNull", []string{"no", "false"}},
}

// externalCommand composes the command line as sshfs does, except that user and port of the address come before the options.
func (d *Dialer) externalCommand(r *route, program []string) []string {
	// -T whatever is configured: 'ssh -G', which is asked with it, does not tell of RequestTTY.
	argv := append(slices.Clone(program), "-x", "-a", "-T", "-oClearAllForwardings=yes")
	for _, w := range shellWishes {
		if v := r.target.get(strings.ToLower(w.keyword)); v != "" && !slices.Contains(w.harmless, strings.ToLower(v)) {
			argv = append(argv, "-o"+w.keyword+"="+w.harmless[0])
		}
	}
	if d.leadsAway(r) {
		argv = append(argv, "-oStrictHostKeyChecking=yes", "-oNoHostAuthenticationForLocalhost=no")
	}
	if d.o.ConfigFile != "" {
		argv = append(argv, "-F", d.o.ConfigFile)
	}
	if d.o.Compression {
		argv = append(argv, "-C")
	}
	argv = append(argv, target{user: d.o.User, port: d.o.Port}.flags()...)
	for _, o := range d.o.SSHOptions {
		argv = append(argv, "-o"+o)
	}
	if seconds := int((r.timeout + time.Second - 1) / time.Second); seconds > 0 {
		argv = append(argv, "-oConnectTimeout="+strconv.Itoa(seconds))
	}
	// Without these ssh would sit on a dead line for a quarter of an hour.
	if parseSeconds(r.target.get("serveraliveinterval")) == 0 {
		argv = append(argv, "-oServerAliveInterval=5", "-oServerAliveCountMax=3")
	}
	if d.givenSecrets.hasPassword() {
		argv = append(argv, "-oNumberOfPasswordPrompts=1")
	}
	if !strings.Contains(d.o.SFTPServer, "/") {
		argv = append(argv, "-s")
	}
	return append(argv, d.o.Host, d.o.SFTPServer)
}

// dialExternal runs ssh and waits until the SFTP server at its far end answers.
// While there is a user, ssh may ask on the terminal, for as long as it takes.
func (d *Dialer) dialExternal(ctx context.Context, r *route, argv []string) (transport.Transport, error) {
	open := d.q.open()
	var env []string
	var answer *askpass // nil without a password
	refused := r.past.kept.wasRefused()
	if password := d.givenSecrets.getPassword(); len(password) > 0 && !refused {
		a, err := newAskpass(password)
		if err != nil {
			return nil, fmt.Errorf("the password cannot be handed to %s: %w", argv[0], err)
		}
		defer a.close()
		answer = a
		env = append(os.Environ(), "SSH_ASKPASS="+a.script, "SSH_ASKPASS_REQUIRE=force", "DISPLAY="+cmp.Or(os.Getenv("DISPLAY"), ":0"))
	} else if !open && (d.o.SSHCommand == "" || refused) {
		// The ssh that was chosen here must not ask. A command of the user may have its own way to answer (sshpass, expect); but once a
		// password was refused it would send an empty one.
		env = append(os.Environ(), "SSH_ASKPASS_REQUIRE=never")
		argv = slices.Insert(slices.Clone(argv), slices.Index(argv, "-x"), "-oBatchMode=yes")
	}
	if !open || answer != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, 2*r.timeout+stepTimeout, errTimeUp)
		defer cancel()
	}

	var also *echo // of standard error, for the user; nil where there is none
	var stderr io.Writer
	if open {
		also = &echo{q: d.q}
		stderr = also
	}
	p, err := startProcess(filepath.Base(argv[0]), argv, env, !open, stderr)
	switch {
	case err == nil:
	case d.o.SSHCommand != "":
		return nil, startError(true, "ssh_command", err)
	default:
		return nil, startError(false, "the system's ssh", err)
	}
	line := newGatherConn(p)
	if _, err = line.Write(hello); err == nil {
		err = waitFirst(ctx, line)
	}
	if err != nil {
		err = d.externalError(ctx, r, p, err)
		if answer != nil && answer.given.Load() && refusesLogin(err.Error()) && !transport.IsFurther(ctx) {
			r.past.kept.refuse()
		}
		if r.past.kept.wasRefused() {
			err = &transport.PermanentError{Err: fmt.Errorf("%w; %s", err, refusedKept), Login: true}
		}
		line.Close()
		return nil, err
	}
	if also != nil {
		also.stop()
	}
	t := newStreamTransport(line, transport.Info{Client: "ssh", Remote: strings.Join(argv, " "), User: r.target.user()})
	t.greeted = hello
	t.remarks = p.stderr.String
	return t, nil
}

// noUseTrying matches what ssh says where trying again won't help.
var noUseTrying = regexp.MustCompile(`(?i)permission denied|host key verification failed|identification has changed|` +
	`host key is known|subsystem request failed|bad configuration option|command-line: line|too many authentication failures|` +
	`unable to negotiate|command not found|no such file or directory|not found`)

// loginRefused matches how ssh says that the server has refused the login.
var loginRefused = regexp.MustCompile(`(?i)permission denied \([a-z0-9,@.-]+\)|too many authentication failures`)

// refusesLogin reports that the server has refused the login for good, as far as ssh has said.
func refusesLogin(said string) bool { return loginRefused.MatchString(said) && !notYet(said) }

// withoutSFTP matches how ssh says that there is no SFTP server, or how the server's shell says so that was to run the given path: ssh
// ends with the status of that shell.
var withoutSFTP = regexp.MustCompile(`(?i)subsystem request failed|sftp-server.*(not found|no such file)|exit status 12[67]\b`)

// externalError is the error of an ssh that did not get through to the SFTP server.
func (d *Dialer) externalError(ctx context.Context, r *route, p *process, err error) error {
	if ctx.Err() != nil {
		if errors.Is(context.Cause(ctx), errTimeUp) {
			said := lastLines(p.stderr.String(), 3)
			return &timeoutError{host: strings.TrimSuffix(r.target.name()+" ("+p.name+": "+said+")", " ("+p.name+": )"), limit: 2*r.timeout + stepTimeout}
		}
		return context.Cause(ctx)
	}
	why := p.failure()
	if why == "" {
		why = fmt.Sprintf("%s: %v", p.name, err)
	}
	err = fmt.Errorf("no SFTP session on %s by way of %s", r.target.name(), why)
	if noUseTrying.MatchString(why) {
		return &transport.PermanentError{Err: err, Login: refusesLogin(why), NoSFTP: withoutSFTP.MatchString(why)}
	}
	return err
}
