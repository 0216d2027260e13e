package session

import (
	"fmt"
	"time"

	sshfx "github.com/pkg/sftp/v2/encoding/ssh/filexfer"
)

// sshPacket is the payload of one SSH data packet with OpenSSH, in bytes.
// The SSH client cuts each Write at this size, so a header written apart from its
// payload would travel in a packet of its own, with its own MAC and system call.
const sshPacket = 32 << 10

// writeLoop sends INIT, and then what is queued, until the session is over.
func (s *Session) writeLoop() {
	piece := appendInit(make([]byte, 0, sshPacket+512))
	if _, err := s.ch.Write(piece); err != nil {
		// The server is gone already. What it has said before helps the user more than
		// this error, so the reader gets the time to find it.
		select {
		case <-s.done:
		case <-time.After(2 * lastWords):
			s.fail(fmt.Errorf("cannot send to the server: %w", err))
		}
		return
	}
	piece = piece[:0]
	for {
		c := s.next()
		if c == nil {
			if len(piece) > 0 {
				if !s.write(piece) {
					return
				}
				piece = piece[:0]
				continue
			}
			select {
			case <-s.wake:
				continue
			case <-s.done:
				return
			}
		}
		var ok bool
		if piece, ok = s.send(c, piece); !ok {
			return
		}
	}
}

// next takes the first call of the queue that still wants to be sent; nil where there is none.
func (s *Session) next() *Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		c := s.queue.pop()
		if c == nil {
			return nil
		}
		if c.ended {
			recycle(c.frame)
			c.frame = nil
			continue
		}
		c.sent = true
		c.sentAt = time.Now()
		if len(c.payload) > 0 {
			c.held |= heldByWriter
		}
		return c
	}
}

// send appends the request of c to piece, and writes piece as often as it is full. It returns what is left to
// write, and whether the session is still good.
func (s *Session) send(c *Call, piece []byte) ([]byte, bool) {
	if len(piece)+c.frame.Len() > sshPacket {
		if len(piece) > 0 && !s.write(piece) {
			s.unhold(c)
			return nil, false
		}
		piece = piece[:0]
	}
	piece = append(piece, c.frame.Bytes()...)
	recycle(c.frame)
	c.frame = nil
	if len(c.payload) == 0 {
		return piece, true
	}

	room := max(sshPacket-len(piece), 0)
	head := min(room, len(c.payload))
	piece = append(piece, c.payload[:head]...)
	if head == len(c.payload) {
		// All of it is copied: the reply may come, and free the buffer, before Write returns.
		s.unhold(c)
		return piece, true
	}
	ok := s.write(piece) && s.write(c.payload[head:])
	s.unhold(c)
	return piece[:0], ok
}

// unhold ends the writer's hold of c's payload, if it has one.
func (s *Session) unhold(c *Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.held&heldByWriter != 0 {
		s.release(c, heldByWriter)
	}
}

// write reports whether the session is still good.
func (s *Session) write(b []byte) bool {
	if _, err := s.ch.Write(b); err != nil {
		s.fail(fmt.Errorf("cannot send to the server: %w", err))
		return false
	}
	return true
}

func appendInit(b []byte) []byte {
	init, _ := (&sshfx.InitPacket{Version: 3}).MarshalBinary() // it has no error to return
	return append(b, init...)
}
