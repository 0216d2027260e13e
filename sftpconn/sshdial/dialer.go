package sshdial

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os/exec"
	"strings"
	"sync"
	"time"

	"sshmount/sftpconn/transport"
)

// maxHops bounds the jump hosts on the way; more than this is a configuration
// that goes round in circles.
const maxHops = 16

// A Dialer logs in to one server, again and again. Its methods may be called
// from several goroutines.
type Dialer struct {
	o            Options
	log          *slog.Logger
	q            *questions
	timeout      time.Duration
	hops         []*hop // the native client's way; the server is last. Empty for other kinds
	ssh          string // path of the system's ssh; "" where none is installed
	target       *hostConfig
	givenSecrets secrets // the password given beforehand, for the external ssh
	master       master

	mu          sync.Mutex // guards what follows
	external    []string   // the command line of the external ssh; nil for the native client
	native      bool       // the native client has logged in, so that it can speak with the server
	passiveUsed bool
}

// New finds out what the configuration says. Its errors are the user's to read.
func New(ctx context.Context, o Options) (*Dialer, error) {
	d := &Dialer{o: o, log: o.Logger, q: &questions{prompt: o.Prompt}, timeout: o.ConnectTimeout}
	if d.log == nil {
		d.log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	d.o.Password = nil
	d.givenSecrets.keep(o.Password, nil, nil)
	if d.o.SFTPServer == "" {
		d.o.SFTPServer = "sftp"
	}
	if p, err := exec.LookPath("ssh"); err == nil {
		d.ssh = p
	}

	switch {
	case o.Passive != nil:
	case o.VSock != "":
		if _, _, err := parseVSock(o.VSock); err != nil {
			return nil, err
		}
	case o.DirectPort != "":
		if o.Host == "" {
			return nil, permanent("directport=%s: no host is given", o.DirectPort)
		}
		if err := checkHost("host", o.Host); err != nil {
			return nil, err
		}
	default:
		if err := d.configure(ctx); err != nil {
			return nil, err
		}
	}
	if d.timeout <= 0 {
		d.timeout = defaultConnectTimeout
	}
	return d, nil
}

// configure resolves the way to the server, for the native client or for ssh.
func (d *Dialer) configure(ctx context.Context) error {
	src := configSource{ssh: d.ssh, file: d.o.ConfigFile, options: d.o.SSHOptions}
	t := target{host: d.o.Host, user: d.o.User, port: d.o.Port}
	cfg, err := src.resolve(ctx, t)
	if err != nil {
		return err
	}
	d.target = cfg
	if d.timeout <= 0 {
		d.timeout = cfg.connectTimeout()
	}
	if d.timeout <= 0 {
		d.timeout = defaultConnectTimeout
	}
	if d.o.SSHCommand != "" {
		words := splitWords(d.o.SSHCommand)
		if len(words) == 0 {
			return permanent("ssh_command names no program")
		}
		d.external = d.externalCommand(words)
		return nil
	}

	way, err := d.way(ctx, cfg, 0)
	if err != nil {
		return err
	}
	for _, c := range way {
		why := c.needsSSH()
		if c == cfg && d.o.Compression {
			why = "compression is asked for"
		}
		if why == "" {
			continue
		}
		if d.ssh == "" {
			d.log.Warn("the native client lacks what the configuration asks for, and no ssh is installed", "host", c.name(), "why", why)
			continue
		}
		d.useSSH(c.name(), why)
		return nil
	}
	for _, c := range way {
		d.hops = append(d.hops, &hop{cfg: c, q: d.q, log: d.log, timeout: d.timeout, delay: d.o.Delay, ssh: d.ssh != ""})
	}
	last := d.hops[len(d.hops)-1]
	last.kept.keep(d.givenSecrets.getPassword(), nil, nil)
	last.passwordGiven = last.kept.hasPassword()
	return nil
}

// way lists the hops to c, which is the last of them.
func (d *Dialer) way(ctx context.Context, c *hostConfig, depth int) ([]*hostConfig, error) {
	if depth > maxHops {
		return nil, permanent("ProxyJump of %s goes round in circles", d.o.Host)
	}
	jumps := c.getUnlessNone("proxyjump")
	if jumps == "" {
		return []*hostConfig{c}, nil
	}
	list := strings.Split(jumps, ",")
	last, rest := strings.TrimSpace(list[len(list)-1]), list[:len(list)-1]
	t, err := parseTarget(last)
	if err != nil {
		return nil, permanent("ProxyJump %s: %w", jumps, err)
	}
	// As with ssh, a jump host has the files' configuration and not the options
	// that were given for the server.
	src := configSource{ssh: d.ssh, file: d.o.ConfigFile}
	if len(rest) > 0 {
		src.options = []string{"ProxyJump=" + strings.Join(rest, ",")}
	}
	jump, err := src.resolve(ctx, t)
	if err != nil {
		return nil, permanent("jump host %s: %w", last, err)
	}
	way, err := d.way(ctx, jump, depth+1)
	if err != nil {
		return nil, err
	}
	return append(way, c), nil
}

// parseTarget reads [user@]host[:port], or the same with ssh:// before it.
func parseTarget(s string) (target, error) {
	s = strings.TrimSuffix(strings.TrimPrefix(s, "ssh://"), "/")
	var t target
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		t.user, s = s[:i], s[i+1:]
	}
	switch {
	case strings.HasPrefix(s, "["):
		host, port, ok := strings.Cut(s[1:], "]")
		if !ok {
			return t, errors.New("'[' without ']'")
		}
		t.host, t.port = host, strings.TrimPrefix(port, ":")
	case strings.Count(s, ":") == 1:
		t.host, t.port, _ = strings.Cut(s, ":")
	default:
		t.host = s
	}
	return t, nil
}

// Dial logs in. Errors that trying again won't mend are *transport.PermanentError.
func (d *Dialer) Dial(ctx context.Context) (transport.Transport, error) {
	t, err := d.dial(ctx)
	if err != nil {
		return nil, err
	}
	// Whoever was asked for a password once is not asked in the middle of the night.
	d.q.detach()
	return t, nil
}

func (d *Dialer) dial(ctx context.Context) (transport.Transport, error) {
	switch {
	case d.o.Passive != nil:
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.passiveUsed {
			return nil, permanent("the stream that was handed over has ended, and there is no other")
		}
		d.passiveUsed = true
		return newPassive(d.o.Passive), nil
	case d.o.VSock != "":
		return dialVSock(ctx, d.o.VSock, d.timeout)
	case d.o.DirectPort != "":
		return dialDirect(ctx, d.o.Host, d.o.DirectPort, d.timeout, d.o.Delay)
	}
	if argv := d.externalArgv(); argv != nil {
		return d.dialExternal(ctx, argv)
	}
	path := d.masterPath()
	last := path != "" && d.master.doubtful(path)
	if path != "" && !last {
		if t := d.ride(ctx, path); t != nil {
			return t, nil
		}
	}
	t, err := d.dialLogin(ctx)
	if err != nil && last && ctx.Err() == nil {
		// The login may need what only the user can give, and the master's line be back.
		if t := d.ride(ctx, path); t != nil {
			return t, nil
		}
	}
	return t, err
}

// dialLogin logs in with the native client, or with the system's ssh where that lacks something.
func (d *Dialer) dialLogin(ctx context.Context) (transport.Transport, error) {
	t, err := d.dialNative(ctx)
	if d.hops[len(d.hops)-1].kept.wasRefused() {
		d.givenSecrets.refuse() // ssh would only send it again
	}
	var lacking *errLacking
	if !errors.As(err, &lacking) {
		if err == nil {
			d.mu.Lock()
			d.native = true
			d.mu.Unlock()
		}
		return t, err
	}
	if d.ssh == "" || lacking.algorithms && d.nativeWorked() || transport.IsFurther(ctx) {
		return nil, lacking.err
	}
	return d.tryExternal(ctx, lacking.why)
}

// dialNative goes hop by hop.
func (d *Dialer) dialNative(ctx context.Context) (transport.Transport, error) {
	var t *sshTransport
	for i, h := range d.hops {
		next, err := h.dial(ctx, t)
		if err != nil {
			if t != nil {
				t.Close()
			}
			if i < len(d.hops)-1 {
				err = &jumpError{name: h.cfg.name(), err: err}
			}
			return nil, err
		}
		t = next
	}
	t.server = d.o.SFTPServer
	return t, nil
}

// jumpError says that the trouble is on the way, and not with the server.
type jumpError struct {
	name string
	err  error
}

func (e *jumpError) Error() string { return "jump host: " + e.err.Error() }
func (e *jumpError) Unwrap() error { return e.err }

// Detach says that there is nobody to ask from now on (the process is in the background).
func (d *Dialer) Detach() { d.q.detach() }

// Forget wipes the secrets that were kept for the next login.
func (d *Dialer) Forget() {
	for _, h := range d.hops {
		h.kept.forget()
	}
	d.givenSecrets.forget()
}

// Settings returns what the configuration came to.
func (d *Dialer) Settings() Settings {
	s := Settings{ConnectTimeout: d.timeout}
	if c := d.target; c != nil {
		if s.ServerAliveInterval = parseSeconds(c.get("serveraliveinterval")); s.ServerAliveInterval > 0 {
			s.ServerAliveCountMax = c.number("serveralivecountmax", 3)
		}
	}
	return s
}
