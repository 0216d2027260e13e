package sshdial

import (
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"sshmount/sftpconn/transport"
)

const (
	// reserveFor is how long an open session is kept in which nothing runs.
	reserveFor = 10 * time.Second

	// refusedFor is how long it is believed that the server has refused a session: it may grant one when another was closed.
	refusedFor = time.Second
)

// reserve holds sessions that are open, or are being opened, and in which nothing runs: for the server each is just an entry in a table.
type reserve struct {
	mu       sync.Mutex // guards what follows; a leaf
	sessions []reserved
	timer    *time.Timer // gives them back; nil where there are none
}

// reserved is a session that was asked for.
type reserved struct {
	at     time.Time
	answer chan bareSession // capacity 1; gets one value, never closed
}

// bareSession is a session in which nothing runs, or why it could not be opened.
type bareSession struct {
	ch       ssh.Channel
	requests <-chan *ssh.Request
	err      error
}

func openSession(conn ssh.Conn) bareSession {
	ch, requests, err := conn.OpenChannel("session", nil)
	return bareSession{ch, requests, err}
}

var _ transport.Reserver = (*sshTransport)(nil)

// Reserve asks for the sessions in one flight.
func (t *sshTransport) Reserve(n int) {
	r := &t.reserve
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.closing.Load() || len(r.sessions) >= n {
		return
	}
	for len(r.sessions) < n {
		asked := reserved{time.Now(), make(chan bareSession, 1)}
		r.sessions = append(r.sessions, asked)
		go func() { asked.answer <- openSession(t.conn) }() // it ends with an answer, or with the connection
	}
	if r.timer != nil {
		r.timer.Stop()
	}
	r.timer = time.AfterFunc(reserveFor, r.giveBack)
}

// put adds a session that is open.
func (r *reserve) put(s bareSession) {
	asked := reserved{time.Now(), make(chan bareSession, 1)}
	asked.answer <- s
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sessions = append(r.sessions, asked)
	if r.timer == nil {
		r.timer = time.AfterFunc(reserveFor, r.giveBack)
	}
}

// take returns the session that was asked for first. Where that is still being opened it waits. It returns nil where none is reserved, or
// it was refused too long ago.
func (r *reserve) take() *bareSession {
	r.mu.Lock()
	if len(r.sessions) == 0 {
		r.mu.Unlock()
		return nil
	}
	first := r.sessions[0]
	r.sessions = r.sessions[1:]
	r.mu.Unlock()
	s := <-first.answer
	if s.err != nil && time.Since(first.at) > refusedFor {
		return nil
	}
	return &s
}

// giveBack closes the sessions that nobody has taken. It does not wait for the server.
func (r *reserve) giveBack() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
	for _, asked := range r.sessions {
		go func() {
			if s := <-asked.answer; s.err == nil {
				go ssh.DiscardRequests(s.requests)
				s.ch.Close()
			}
		}()
	}
	r.sessions = nil
}
