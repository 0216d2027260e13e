package session

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	sshfx "github.com/pkg/sftp/v2/encoding/ssh/filexfer"
)

// readAhead is the size of the reader's buffer for headers and small replies, in
// bytes. It is small, because the part of a DATA's payload that comes into it must be
// copied; and it holds a hundred small replies.
const readAhead = 4 << 10

// reader is the state of the reader's goroutine.
type reader struct {
	s    *Session
	r    *bufio.Reader
	head [9]byte
	body []byte // of the packet at hand, reused for the next
}

// readLoop reads the greeting and then replies, until the session is over.
func (s *Session) readLoop() {
	r := &reader{s: s, r: bufio.NewReaderSize(s.ch, readAhead)}
	err := r.greeting()
	s.greeted <- err
	for err == nil {
		err = r.reply()
	}
	s.fail(err)
}

// reply reads one reply and ends its call. An error ends the session.
func (r *reader) reply() error {
	if _, err := io.ReadFull(r.r, r.head[:4]); err != nil {
		return r.s.readError(err)
	}
	length := binary.BigEndian.Uint32(r.head[:4])
	if limit := r.s.maxPacket.Load(); int64(length) > limit {
		return broken("it announces a packet of %d bytes, where %d is the most", length, limit)
	}
	if length < 5 {
		return broken("bad reply len: %d, too short for any reply", length)
	}
	if _, err := io.ReadFull(r.r, r.head[4:9]); err != nil {
		return r.s.readError(err)
	}
	kind := sshfx.PacketType(r.head[4])
	id := binary.BigEndian.Uint32(r.head[5:9])
	c := r.s.take(id)
	if c == nil {
		return broken("it sends %v for request %d, which was not asked or is answered already", kind, id)
	}
	c.rtt = time.Since(c.sentAt)

	fault, err := r.rest(c, kind, int(length)-5)
	if err != nil {
		r.s.fail(err)
		fault = &LostError{Sent: true, First: true, Age: c.rtt, Err: err}
	}
	r.s.answered(c, fault)
	return err
}

// rest reads the remaining n bytes of the reply to c. fault is the outcome of the
// call; err ends the session.
func (r *reader) rest(c *Call, kind sshfx.PacketType, n int) (fault, err error) {
	if kind == sshfx.PacketTypeData && c.want == answerData {
		return r.data(c, n)
	}
	if !c.want.accepts(kind) {
		return nil, broken("it sends %v where %v was asked for", kind, c.want)
	}
	if cap(r.body) < n {
		r.body = make([]byte, n)
	}
	body := r.body[:n]
	if _, err := io.ReadFull(r.r, body); err != nil {
		return nil, r.s.readError(err)
	}
	return c.parse(kind, body)
}

// data reads the payload of DATA straight into the call's buffer.
func (r *reader) data(c *Call, n int) (fault, err error) {
	if n < 4 {
		return nil, broken("it sends DATA of %d bytes, too short for its length", n)
	}
	if _, err := io.ReadFull(r.r, r.head[:4]); err != nil {
		return nil, r.s.readError(err)
	}
	size := binary.BigEndian.Uint32(r.head[:4])
	if int64(size) != int64(n-4) {
		return nil, broken("it sends DATA that names %d bytes in a packet of %d", size, n-4)
	}
	if int(size) > c.asked {
		return nil, broken("it sends %d bytes where %d were asked for", size, c.asked)
	}
	if size == 0 {
		return ErrNoProgress, nil
	}
	if c.dst == nil { // given up
		_, err = r.r.Discard(int(size))
	} else {
		_, err = io.ReadFull(r.r, c.dst[:size])
	}
	if err != nil {
		return nil, r.s.readError(err)
	}
	c.n = int(size)
	return nil, nil
}

// take finds the call of a reply, and holds it for the reader. A request that
// was not sent yet can't have been answered.
func (s *Session) take(id uint32) *Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.pending[id]
	if c == nil || !c.sent {
		return nil
	}
	delete(s.pending, id)
	s.answering = c
	c.held |= heldByReader
	return c
}

// answered ends a call that the reader holds.
func (s *Session) answered(c *Call, fault error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answering = nil
	c.held &^= heldByReader
	s.end(c, fault)
}

// readError says why nothing more can be read.
func (s *Session) readError(err error) error {
	said := ""
	if remarks := printable(s.ch.Remarks()); remarks != "" {
		said = fmt.Sprintf("; it wrote %q", remarks)
	}
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the server closed the channel in the middle of a packet%s", said)
	case errors.Is(err, io.EOF):
		return fmt.Errorf("the server closed the channel%s", said)
	}
	return fmt.Errorf("cannot read from the server%s: %w", said, err)
}
