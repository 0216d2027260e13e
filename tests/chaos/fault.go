package chaos

import (
	"context"
	"fmt"
	"net"
	"time"

	"sshmount/tests/line"
)

// Fault is something that happens to the line or the server, lasts, and is over.
type Fault struct {
	Name string
	// Namespace: it needs a mount in a network namespace of its own.
	Namespace bool
	strike    func(r *Rig, outage time.Duration) error // returns when it is over
}

// Faults are all that are known.
func Faults() []Fault {
	// broken strikes, waits out the outage, and mends.
	broken := func(begin func(*line.Line)) func(*Rig, time.Duration) error {
		return func(r *Rig, outage time.Duration) error {
			begin(r.line)
			r.sleep(outage)
			return r.line.Resume()
		}
	}
	// once strikes, and is over.
	once := func(do func(*Rig)) func(*Rig, time.Duration) error {
		return func(r *Rig, _ time.Duration) error { do(r); return nil }
	}
	return []Fault{
		{Name: "reset", strike: once(func(r *Rig) { r.line.Reset() })},
		{Name: "resets", strike: func(r *Rig, outage time.Duration) error {
			for range 5 {
				r.line.Reset()
				r.sleep(outage / 5)
			}
			return nil
		}},
		{Name: "blackhole", strike: broken((*line.Line).BlackHole)},
		{Name: "halfopen", strike: once(func(r *Rig) { r.line.HalfOpen() })},
		{Name: "servergone", strike: once(func(r *Rig) { r.line.ServerGone() })},
		{Name: "stall", strike: broken(func(l *line.Line) { l.Stall(line.Up); l.Stall(line.Down) })},
		{Name: "stall-up", strike: broken(func(l *line.Line) { l.Stall(line.Up) })},
		{Name: "stall-down", strike: broken(func(l *line.Line) { l.Stall(line.Down) })},
		{Name: "trickle", strike: broken(func(l *line.Line) { l.Trickle(line.Down, 200) })},
		{Name: "refuse", strike: broken(func(l *line.Line) { l.Refuse(); l.Reset() })},
		{Name: "server-restart", strike: func(r *Rig, outage time.Duration) error {
			r.server.Stop()
			r.sleep(outage)
			return r.server.Restart()
		}},
		{Name: "sessions-killed", strike: once(func(r *Rig) { r.server.KillSessions() })},
		{Name: "sftp-killed", strike: once(func(r *Rig) { r.server.KillSFTP() })},
		{Name: "maxstartups", strike: crowd},
		{Name: "address", Namespace: true, strike: func(r *Rig, outage time.Duration) error {
			return r.ns.move(func() { r.sleep(outage) })
		}},
	}
}

// crowd takes all the places that sshd has for those who have not logged in yet, and then
// has the mount need one.
func crowd(r *Rig, outage time.Duration) error {
	ctx, cancel := context.WithTimeout(r.ctx, outage)
	defer cancel()
	var crowd []net.Conn
	defer func() {
		for _, c := range crowd {
			c.Close()
		}
	}()
	for range maxStartups {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", net.JoinHostPort(r.server.Listen, fmt.Sprint(r.server.Port)))
		if err != nil {
			break
		}
		crowd = append(crowd, c)
	}
	r.line.Reset()
	<-ctx.Done()
	return nil
}
