package sshdial

import (
	"context"
	"errors"

	"sshmount/sftpconn/transport"
)

// noteRefusal notes, for Elsewhere, how a login by r ended: refused, or accepted, which ends what was refused before. Other errors say
// nothing.
func (d *Dialer) noteRefusal(r *route, err error) {
	refusal, refused := errors.AsType[*transport.PermanentError](err)
	if err != nil && !refused {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !refused {
		r.past.judged, d.refusedLast = false, nil
		return
	}
	r.past.judged = r.past.judged || refusal.Login
	d.refusedLast = r.past
}

// Elsewhere says that the configuration leads now to another server than the one that has refused last, and to one that has refused no
// login since it accepted one: a network that comes and goes must not provoke two servers in turn.
func (d *Dialer) Elsewhere(ctx context.Context) bool {
	d.mu.Lock()
	r := d.route
	d.mu.Unlock()
	if r == nil || d.o.SSHCommand != "" {
		return false
	}
	way, err := d.resolveAgain(ctx)
	if err != nil {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.pastOf(way[len(way)-1])
	return p != d.refusedLast && !p.judged
}
