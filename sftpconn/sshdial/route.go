package sshdial

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"time"

	"sshmount/sftpconn/transport"
)

// A route is the way to the server as the configuration gave it at one time. It is not changed, except for external.
type route struct {
	target  *hostConfig
	past    *hopPast      // of the target
	way     []*hostConfig // the configuration of each host on the way, the target last; the target alone with ssh_command
	hops    []*hop        // the same for the native client; empty where an external ssh is used from the first login on
	timeout time.Duration

	external []string // the command line of the external ssh; nil for the native client. The Dialer's mu guards it
}

func (r *route) last() *hop { return r.hops[len(r.hops)-1] }

// hopID identifies a hop over all routes: what was kept for one hop is given to no other.
type hopID struct{ alias, user, host, port string }

// hopPast is what is known from earlier logins to a hop, by any route.
type hopPast struct {
	kept    secrets
	unsaved unsavedKey

	// Guarded by the Dialer's mu.
	native bool // the native client has logged in before: it has an algorithm in common with the server
	judged bool // the server has refused a login, and accepted none since
}

// resolve finds out by which hops the configuration reaches the server, which is the last; alone as of sshG.
func (d *Dialer) resolve(ctx context.Context, alone bool) ([]*hostConfig, error) {
	src := configSource{ssh: d.ssh, file: d.o.ConfigFile, options: d.o.SSHOptions, alone: alone}
	cfg, err := src.resolve(ctx, target{host: d.o.Host, user: d.o.User, port: d.o.Port})
	if err != nil {
		return nil, err
	}
	if d.o.SSHCommand != "" {
		return []*hostConfig{cfg}, nil // the command finds its way
	}
	return d.way(ctx, cfg, 0, alone)
}

// newRoute makes a route of the hops that were found, for the native client or for ssh. With mu held, or before anybody else knows d.
func (d *Dialer) newRoute(way []*hostConfig) (*route, error) {
	cfg := way[len(way)-1]
	r := &route{target: cfg, past: d.pastOf(cfg), way: way, timeout: d.o.ConnectTimeout}
	if d.first == nil {
		d.first = r.past
	}
	if r.timeout <= 0 {
		r.timeout = cfg.connectTimeout()
	}
	if r.timeout <= 0 {
		r.timeout = defaultConnectTimeout
	}
	if d.o.SSHCommand != "" {
		words := splitWords(d.o.SSHCommand)
		if len(words) == 0 {
			return nil, badConfig(true, "ssh_command names no program")
		}
		r.external = d.externalCommand(r, words)
		return r, nil
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
		d.log.Info("using the system's ssh", "host", c.name(), "why", why)
		r.external = d.externalCommand(r, []string{d.ssh})
		return r, nil
	}
	for _, c := range way {
		p := d.pastOf(c)
		r.hops = append(r.hops, &hop{cfg: c, kept: &p.kept, unsaved: &p.unsaved, q: d.q, log: d.log, timeout: r.timeout, delay: d.o.Delay, ssh: d.ssh != ""})
	}
	last := r.last()
	if password := d.givenSecrets.getPassword(); len(password) > 0 {
		if !last.kept.wasRefused() {
			last.kept.keep(password, nil, nil)
		}
		last.passwordGiven = true
		last.mustKnow = d.leadsAway(r)
		wipe(password)
	}
	return r, nil
}

// leadsAway reports whether r ends at another host, by its name, port or user, than the one for which the user has given the password
// beforehand. Its host key must be in the files already. Else any host to which a network leads us could ask for the password.
func (d *Dialer) leadsAway(r *route) bool { return d.givenSecrets.hasPassword() && r.past != d.first }

// pastOf returns what is known of the hop with this configuration. With mu held, or before anybody else knows d.
func (d *Dialer) pastOf(c *hostConfig) *hopPast {
	id := hopID{c.alias, c.user(), c.hostName(), c.port()}
	p := d.past[id]
	if p == nil {
		if d.past == nil {
			d.past = map[hopID]*hopPast{}
		}
		p = new(hopPast)
		d.past[id] = p
	}
	return p
}

// readAgainLimit bounds the time for reading the configuration at a reconnect, which waits for that: a `Match exec` or the look-up of a
// name may hang as long as the network is away.
const readAgainLimit = 5 * time.Second

// resolveAgain is resolve at a reconnect, when no user is there. It leaves most of the time of ctx to the login.
func (d *Dialer) resolveAgain(ctx context.Context) ([]*hostConfig, error) {
	limit := readAgainLimit
	if end, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(end)/3)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errors.New("that takes too long"))
	defer cancel()
	// The end of ctx kills the programs that it runs. That is not waited for: somebody may be ending the mount.
	return awaiting(ctx, func() ([]*hostConfig, error) { return d.resolve(ctx, true) }, func([]*hostConfig) {})
}

// currentRoute reads the configuration again for each login but the first and those beside a good one: a Match that asks for
// the network says something else in another place. Where it can't be read, what it said before is kept to.
func (d *Dialer) currentRoute(ctx context.Context) *route {
	d.mu.Lock()
	r, again := d.route, d.dialled
	d.dialled = true
	d.mu.Unlock()
	if !again || transport.IsFurther(ctx) || d.o.SSHCommand != "" {
		return r
	}
	way, err := d.resolveAgain(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil && slices.EqualFunc(way, r.way, (*hostConfig).says) {
		d.unresolved = ""
		return r
	}
	var changed *route
	if err == nil {
		changed, err = d.newRoute(way)
	}
	switch {
	case ctx.Err() != nil:
	case err == nil:
		d.log.Info("ssh's configuration says something else than at the last login", "host", changed.target.name())
		d.unresolved, d.route = "", changed
		return changed
	case err.Error() != d.unresolved:
		d.unresolved = err.Error()
		d.log.Warn("ssh's configuration cannot be read again; what it said before is used", "host", r.target.name(), "error", err)
	}
	return r
}

// says reports whether another reading of the configuration gives the same.
func (c *hostConfig) says(other *hostConfig) bool {
	return c.alias == other.alias && reflect.DeepEqual(c.values, other.values)
}
