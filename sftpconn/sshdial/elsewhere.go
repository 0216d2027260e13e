package sshdial

import (
	"context"
	"errors"

	"sshmount/sftpconn/transport"
)

// noteRefusal notes, for Elsewhere, whether a login by r was refused, or accepted, which clears what was refused before. Other errors
// change nothing.
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

// Elsewhere reports whether the configuration now leads to another server than the one that was the last to refuse a login, and to one
// that has refused none since it accepted one. Else a network that comes and goes would provoke two servers in turn.
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
