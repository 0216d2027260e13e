package session

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"sshmount/sftpconn/transport"
)

// Options of a session.
type Options struct {
	Logger *slog.Logger // nil: slog.Default()

	// Like is another session with the same program on the same server; nil where there is none. What its server has said
	// is taken to hold here, too: Open does not wait for VERSION, so that requests go out in one flight with INIT.
	Like *Session
}

// Session is one SFTP session. Its methods may be called from several goroutines.
type Session struct {
	ch  transport.Channel
	log *slog.Logger

	greeted    chan error                        // gets one value from the reader, the outcome of the greeting; never closed
	wake       chan struct{}                     // capacity 1: there may be something in queue for the writer
	done       chan struct{}                     // closed by fail, once
	extensions atomic.Pointer[map[string]string] // by name, with their values; never nil, empty before the greeting
	limits     *Call                             // nil where the server has no limits@openssh.com; set before greeted, or that of Options.Like
	known      bool                              // what Options.Like knows was taken over, so limits are not asked for; set before the goroutines start
	maxPacket  atomic.Int64                      // longest packet either way, in bytes without its length field

	mu        sync.Mutex // guards what follows and the fields of each Call that say so; a leaf: no other lock is taken under it
	err       error      // why the session is over
	pending   map[uint32]*Call
	answering *Call // whose reply is being read; not in pending any more
	queue     callQueue
	lastID    uint32
	inFlight  int
	slow      int // number of slow calls among those in flight
	handles   handles
}

// Open exchanges INIT and VERSION on ch, and asks for the limits. It owns ch
// from then on, also when it fails: ch is closed then. It returns when VERSION is
// there; the answer with the limits is not waited for, so that it costs no round
// trip of its own (see Limits). With Options.Like it does not wait for VERSION
// either; where the greeting goes wrong then, the session ends.
//
// A server that talks something else before SFTP gives an error that quotes it,
// a *transport.PermanentError; so does one whose version is below 3.
func Open(ctx context.Context, ch transport.Channel, o Options) (*Session, error) {
	s := &Session{
		ch:      ch,
		log:     o.Logger,
		greeted: make(chan error, 1),
		wake:    make(chan struct{}, 1),
		done:    make(chan struct{}),
		pending: make(map[uint32]*Call),
	}
	s.maxPacket.Store(maxPacketUnasked)
	if s.log == nil {
		s.log = slog.Default()
	}
	s.extensions.Store(new(map[string]string))
	if o.Like != nil {
		s.takeOver(o.Like)
	}
	go s.writeLoop()
	go s.readLoop()
	if s.known {
		return s, nil
	}

	select {
	case err := <-s.greeted:
		if err != nil {
			s.fail(err)
			return nil, err
		}
		return s, nil
	case <-ctx.Done():
	}
	cause := fmt.Errorf("no SFTP greeting from the server: %w", context.Cause(ctx))
	s.fail(cause)
	// Closing the channel makes the reader tell what came instead of a greeting, if anything did.
	select {
	case err := <-s.greeted:
		if _, quoted := err.(*transport.PermanentError); quoted {
			return nil, err
		}
	case <-time.After(lastWords):
	}
	return nil, cause
}

// takeOver takes over what like knows of the server, if it knows the limits, too.
func (s *Session) takeOver(like *Session) {
	if _, told := like.Limits(); !told {
		return
	}
	s.known = true
	s.limits = like.limits
	s.extensions.Store(like.extensions.Load())
	s.maxPacket.Store(like.maxPacket.Load())
	like.mu.Lock()
	s.handles.may = like.handles.may && !like.handles.wrong
	like.mu.Unlock()
}

// Close ends the session and its channel; calls in flight fail with LostError.
// It never blocks on the peer: where the line is dead, the two goroutines of the
// session end when the transport below is closed. The error is always nil.
func (s *Session) Close() error {
	s.fail(ErrClosed)
	return nil
}

// End is Close for a reason, with which Err and the calls in flight then end.
func (s *Session) End(cause error) { s.fail(cause) }

// Done is closed when the session is over; Err then says why.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err is nil while the session is good.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Has says whether the server announced an extension, by its full name ("fsync@openssh.com").
func (s *Session) Has(extension string) bool {
	_, ok := (*s.extensions.Load())[extension]
	return ok
}

// InFlight is the number of requests sent or queued and not answered.
func (s *Session) InFlight() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inFlight
}

// Slow reports whether a request is in flight whose answer may rightly take
// minutes (FSYNC, COPY-DATA). A server that answers in order is silent until then.
func (s *Session) Slow() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.slow > 0
}

// Started changes with each request: while it stays the same no request has been made.
func (s *Session) Started() uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastID
}

// start queues c, whose request is in c.frame with an id of 0.
func (s *Session) start(c *Call) *Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.enqueue(c)
}

// enqueue is start with mu held.
func (s *Session) enqueue(c *Call) *Call {
	c.s = s
	c.done = make(chan struct{})
	frame, _, _ := c.frame.Packet(c.payload) // puts the length in; it can't fail

	s.inFlight++
	if c.slow {
		s.slow++
	}
	s.handles.begin(c)
	if s.err != nil {
		s.end(c, &LostError{Err: s.err})
		return c
	}
	if size, most := int64(len(frame)-4+len(c.payload)), s.maxPacket.Load(); size > most {
		s.end(c, fmt.Errorf("request of %d bytes is more than the %d that the server takes", size, most))
		return c
	}
	for {
		s.lastID++
		if _, used := s.pending[s.lastID]; !used {
			break
		}
	}
	c.id = s.lastID
	binary.BigEndian.PutUint32(frame[5:], c.id)
	s.pending[c.id] = c
	s.queue.push(c)
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return c
}

// end settles the outcome of c. It is called once for each call, when that is not in pending any more. With mu held.
func (s *Session) end(c *Call, err error) {
	c.ended, c.err = true, err
	s.inFlight--
	if c.slow {
		s.slow--
	}
	if refusal, ok := err.(*StatusError); ok && c.want == answerHandle {
		refusal.Full = refusal.Code == StatusFailure && s.full()
	}
	s.handles.end(c, err)
	if c.held == 0 {
		close(c.done)
	}
}

// release ends a hold on the buffer of c, and closes c.done if the call has ended and
// that was the last hold. With mu held.
func (s *Session) release(c *Call, hold uint8) {
	c.held &^= hold
	if c.ended && c.held == 0 {
		close(c.done)
	}
}

// fail ends the session, and all calls that are not answered. The first reason counts.
func (s *Session) fail(err error) {
	if errors.Is(err, io.EOF) {
		// A lost session must never look like the end of a file to whoever asks errors.Is.
		err = errors.New(err.Error())
	}
	s.mu.Lock()
	if s.err != nil {
		s.mu.Unlock()
		return
	}
	s.err = err
	first := s.first()
	for id, c := range s.pending {
		delete(s.pending, id)
		s.end(c, c.lost(c == first, err))
	}
	s.queue = callQueue{}
	s.mu.Unlock()
	close(s.done)
	// On a dead line Close may wait for what is being written: until the transport is closed.
	go s.ch.Close()
}

// first returns the call that the server is working on; nil where there is none. With mu held.
func (s *Session) first() *Call {
	if s.answering != nil {
		return s.answering
	}
	var first *Call
	for _, c := range s.pending {
		if c.sent && (first == nil || c.before(first)) {
			first = c
		}
	}
	return first
}

// before reports whether c was sent before d. Ids are given in the order of sending, and wrap around.
func (c *Call) before(d *Call) bool { return int32(c.id-d.id) < 0 }

// lost is the error of a call whose session ends. With mu held.
func (c *Call) lost(first bool, err error) *LostError {
	e := &LostError{Sent: c.sent, First: first, Err: err}
	if c.sent {
		e.Age = time.Since(c.sentAt)
	}
	return e
}
