package sshdial

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os/exec"
	"sync"
	"time"

	"sshmount/sftpconn/transport"
)

// A Dialer logs in to one server, again and again. Its methods may be called
// from several goroutines.
type Dialer struct {
	o            Options
	log          *slog.Logger
	q            *questions
	timeout      time.Duration // where there is no route: for directport, vsock and passive
	ssh          string        // path of the system's ssh; "" where none is installed
	givenSecrets secrets       // the password given beforehand. Whether a host has refused it is noted in the secrets of that host
	master       master

	mu          sync.Mutex // guards what follows, and what a route says of itself
	route       *route     // nil where ssh's configuration says nothing of the way
	past        map[hopID]*hopPast
	first       *hopPast // of the server to which the configuration led when it was first read
	dialled     bool     // a login has begun: from then on the configuration is read again for each
	unresolved  string   // why the configuration could not be read again; "" where it could
	refusedLast *hopPast // of the server that was the last to refuse a login; nil where none has since a login was accepted
	passiveUsed bool
}

// New reads the configuration. Its errors are meant for the user to read.
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
			return nil, badConfig(true, "directport=%s: no host is given", o.DirectPort)
		}
		if err := checkHost(true, "host", o.Host); err != nil {
			return nil, err
		}
	default:
		way, err := d.resolve(ctx, false)
		if err != nil {
			return nil, err
		}
		if d.route, err = d.newRoute(way); err != nil {
			return nil, err
		}
	}
	if d.timeout <= 0 {
		d.timeout = defaultConnectTimeout
	}
	return d, nil
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
	r := d.currentRoute(ctx)
	t, err := d.dialRoute(ctx, r)
	if !transport.IsFurther(ctx) {
		d.noteRefusal(r, err)
	}
	return t, err
}

func (d *Dialer) dialRoute(ctx context.Context, r *route) (transport.Transport, error) {
	if argv := d.externalOf(r); argv != nil {
		return d.dialExternal(ctx, r, argv)
	}
	path := r.masterPath()
	last := path != "" && d.master.doubtful(path)
	if path != "" && !last {
		if t := d.ride(ctx, r, path, false); t != nil {
			return t, nil
		}
	}
	t, err := d.dialLogin(ctx, r)
	if err != nil && last && ctx.Err() == nil {
		// The login may need something that only the user can give, and the master may have its line back.
		if t := d.ride(ctx, r, path, true); t != nil {
			return t, nil
		}
	}
	return t, err
}

// dialLogin logs in with the native client, or with the system's ssh where that lacks something.
func (d *Dialer) dialLogin(ctx context.Context, r *route) (transport.Transport, error) {
	t, err := d.dialNative(ctx, r)
	lacking, ok := errors.AsType[*errLacking](err)
	if !ok {
		if err == nil {
			d.mu.Lock()
			r.past.native = true
			d.mu.Unlock()
		}
		return t, err
	}
	if d.ssh == "" || lacking.algorithms && d.nativeWorked(r) || transport.IsFurther(ctx) {
		return nil, lacking.err
	}
	return d.tryExternal(ctx, r, lacking.why)
}

// dialNative goes hop by hop.
func (d *Dialer) dialNative(ctx context.Context, r *route) (transport.Transport, error) {
	var t *sshTransport
	for i, h := range r.hops {
		next, err := h.dial(ctx, t)
		if err != nil {
			if t != nil {
				t.Close()
			}
			if i < len(r.hops)-1 {
				err = &jumpError{name: h.cfg.name(), err: err}
			}
			return nil, err
		}
		t = next
	}
	t.server = d.o.SFTPServer
	return t, nil
}

// jumpError says that the login failed at a jump host, and not at the server.
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
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.past {
		p.kept.forget()
	}
	d.givenSecrets.forget()
}

// Settings returns what the configuration says that concerns the layers above.
func (d *Dialer) Settings() Settings {
	s := Settings{ConnectTimeout: d.timeout, ConnectTimeoutSet: d.o.ConnectTimeout > 0}
	d.mu.Lock()
	r := d.route
	d.mu.Unlock()
	if r != nil {
		s.ConnectTimeout = r.timeout
		s.ConnectTimeoutSet = s.ConnectTimeoutSet || r.target.connectTimeout() > 0
		if s.ServerAliveInterval = parseSeconds(r.target.get("serveraliveinterval")); s.ServerAliveInterval > 0 {
			s.ServerAliveCountMax = r.target.number("serveralivecountmax", 3)
		}
	}
	return s
}
